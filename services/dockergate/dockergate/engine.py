"""The Docker Engine behind its socket, asked with requests that are written here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import Response

PASSED_ON = ("api-version", "ostype", "docker-experimental", "server")


class Unreachable(Exception):
    """No answer came through the socket."""


class Engine:
    def __init__(self, socket: Path) -> None:
        transport = httpx.AsyncHTTPTransport(uds=str(socket), retries=0)
        # Stopping a server takes as long as its processes need, ten seconds and more.
        timeout = httpx.Timeout(120, connect=5)
        # The host's name is of no meaning to the engine behind a socket.
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://docker", timeout=timeout, trust_env=False
        )

    async def ask(
        self,
        method: str,
        path: str,
        options: dict[str, str] | None = None,
        body: bytes | None = None,
        reduce: Callable[[Any], Any] | None = None,
    ) -> Response:
        """The engine's answer; what `reduce` leaves of it if it is a good one."""
        reply = await self._send(method, path, options, body)
        headers = {name: reply.headers[name] for name in PASSED_ON if name in reply.headers}
        if reply.status_code in (204, 304):
            return Response(status_code=reply.status_code, headers=headers)
        content = reply.content
        if reduce and reply.status_code < 300:
            content = json.dumps(reduce(reply.json())).encode()
        kind = reply.headers.get("content-type", "application/json")
        return Response(content, reply.status_code, headers, media_type=kind)

    async def inspect(self, path: str) -> dict[str, Any] | None:
        """What the engine tells of one thing; None if it is not there."""
        reply = await self._send("GET", path)
        if reply.status_code == 404:
            return None
        if reply.status_code >= 300:
            raise Unreachable(f"it said {reply.status_code} to GET {path}")
        return reply.json()

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(
        self, method: str, path: str, options: dict[str, str] | None = None, body: bytes | None = None
    ) -> httpx.Response:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            return await self._client.request(method, path, params=options, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
