"""uvicorn's connections, writing an answer's head together with its body, and not waiting without end until
it is read.

uvicorn writes them one after the other: two calls of the system, two packets, and a client that is woken
twice, which costs a small answer more than all else of HTTP. ASGI wants the head held back until there is a
body (specification of HTTP, "Response Start").
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)
_HEAD = b"HTTP/1.1 "
_INTERIM = b"HTTP/1.1 1"
_SMALL = 64 * 1024
"""What is larger is not copied to stand behind its head."""


class Connection(HttpToolsProtocol):
    """What `uvicorn.Config(http=...)` takes, once it is told how many seconds a client may read nothing of an
    answer: then the connection is cut, as the answer takes memory."""

    def __init__(self, *args: Any, unread_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._unread_seconds = unread_seconds
        self._next_look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Together(transport))  # type: ignore[arg-type]

    def on_response_complete(self) -> None:
        self.transport.flush()  # an answer without a body
        super().on_response_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._look_no_more()
        super().connection_lost(exc)

    def _look_later(self) -> None:
        unread = self.transport.get_write_buffer_size()
        self._next_look = self.loop.call_later(self._unread_seconds, self._look, unread)

    def _look(self, unread: int) -> None:
        if self.transport.get_write_buffer_size() < unread:
            self._look_later()
            return
        log.info("an answer is not read, its connection is cut", extra={"unread_bytes": unread})
        self.transport.abort()

    def _look_no_more(self) -> None:
        if self._next_look is not None:
            self._next_look.cancel()


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
