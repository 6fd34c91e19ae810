"""A replica that is told to stop: it says so first, then goes on answering until nobody sends it anything."""

from __future__ import annotations

import asyncio
import logging
import time

import uvicorn

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")


class Stopping:
    """begun: /ready says no from now on."""

    def __init__(self) -> None:
        self.begun = False


class Server(uvicorn.Server):
    """uvicorn, which between the signal and its own end waits until gateways have seen /ready.

    Meanwhile requests are answered as before, each connection is closed after its next answer, and new ones
    are taken. A second Ctrl+C ends it at once, as it does with uvicorn.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain_seconds: float) -> None:
        super().__init__(config)
        self._stopping, self._drain_seconds = stopping, drain_seconds

    async def main_loop(self) -> None:
        await super().main_loop()
        self._stopping.begun = True
        log.info("stopping: requests are still answered", extra={"seconds": self._drain_seconds})
        end = time.monotonic() + self._drain_seconds
        while time.monotonic() < end and not self.force_exit:
            await self.on_tick(0)  # a fresh date for the answers
            self.server_state.default_headers.append(_CLOSE)
            await asyncio.sleep(_LOOK_SECONDS)
