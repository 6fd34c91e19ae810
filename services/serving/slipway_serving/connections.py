"""uvicorn's connections, writing an answer's head together with its body.

uvicorn writes them one after the other: two calls of the system, two packets, and a client that is woken
twice, which costs a small answer more than all else of HTTP. ASGI wants the head held back until there is a
body (specification of HTTP, "Response Start").
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"
_SMALL = 64 * 1024
"""What is larger is not copied to stand behind its head."""


class Connection(HttpToolsProtocol):
    """What `uvicorn.Config(http=...)` takes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Together(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        self.transport.flush()  # an answer without a body
        super().on_response_complete()


class Together:
    """A transport that keeps a head back until the next write, or the connection's end."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write
        self._head = b""
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head and len(data) > _SMALL:
            self.flush()
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(_HEAD) and not data.startswith(_INTERIM):
            self._head = data
            return
        self._write(data)

    def flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._write(head)

    def close(self) -> None:
        self.flush()
        self._transport.close()
