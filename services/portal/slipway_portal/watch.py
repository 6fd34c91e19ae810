"""Asks the services how they are, round after round, so that a page view asks nobody."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx

from slipway_portal.settings import Settings
from slipway_portal.state import State

log = logging.getLogger("uvicorn.error")

# More than any of these answers should be; a service that misbehaves must not fill the portal's memory.
MAX_BODY_BYTES = 1_000_000


class Watch:
    """`state` is always the latest that is known. Each answer is taken in when it comes: nobody waits for
    the slowest."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State()
        # For serving alone, which tells nobody else what is live.
        self._known = {"Authorization": f"Bearer {settings.serving_reader_token.get_secret_value()}"}
        self._last_round = time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether rounds come as often as they should; twice the time is allowed to a busy machine."""
        longest = self.settings.check_seconds + 2 * self.settings.timeout_seconds
        return time.monotonic() - self._last_round < 2 * longest + 10

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._rounds())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _rounds(self) -> None:
        # Services are asked at their own addresses, whatever proxy the environment names for the outside.
        async with httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    await self.one_round(client)
                    self._last_round = time.monotonic()
                except Exception:  # an answer nobody thought of costs one round, not all that follow
                    log.exception("a round of checks failed")
                await asyncio.sleep(self.settings.check_seconds)

    async def one_round(self, client: httpx.AsyncClient) -> None:
        addresses = {
            "hub": self.settings.hub_health_url,
            "mlflow": self.settings.mlflow_health_url,
            "auth": self.settings.auth_health_url,
            "serving": f"{self.settings.serving_url}/ready",
        }
        checks = [self._check(client, key, address) for key, address in addresses.items()]
        await asyncio.gather(*checks, self._production(client))

    async def _check(self, client: httpx.AsyncClient, key: str, address: str) -> None:
        _, reason = await self._get(client, address)
        if reason and self.state.services[key].reason != reason:
            log.warning("%s is down: %s (%s)", key, reason, address)
        elif reason is None and self.state.services[key].status == "down":
            log.info("%s is up again", key)
        self.state = self.state.with_service(key, reason)

    async def _production(self, client: httpx.AsyncClient) -> None:
        models, visitors = await asyncio.gather(
            self._get(client, f"{self.settings.serving_url}/models", self._known),
            self._get(client, f"{self.settings.serving_url}/visitors", self._known),
        )
        self.state = self.state.with_production(_json(models[0]), _json(visitors[0]))

    async def _get(
        self, client: httpx.AsyncClient, address: str, headers: dict[str, str] | None = None
    ) -> tuple[bytes, str | None]:
        """The body and None, or what is wrong. The time-out is for the whole answer, not for each part."""
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                async with client.stream("GET", address, headers=headers) as answer:
                    body = b""
                    async for part in answer.aiter_bytes():
                        body += part
                        if len(body) > MAX_BODY_BYTES:
                            return b"", "its answer is far too long"
            return (body, None) if answer.is_success else (b"", f"it answers {answer.status_code}")
        except TimeoutError:
            return b"", f"no answer within {self.settings.timeout_seconds:g} s"
        except httpx.ConnectError:
            return b"", "no connection"
        except httpx.TransportError:
            return b"", "the connection broke"
        except httpx.HTTPError:
            return b"", "its answer cannot be read"


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
