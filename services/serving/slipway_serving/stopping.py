"""A replica that is told to stop: it says so first, then goes on answering until nobody sends it anything."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import select
import socket
import struct
import sys
import time
from types import FrameType

import uvicorn

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")
_SETTLE_SECONDS = 0.05
_SEND_SECONDS = (0.3, 3.0)
"""At least and at most, for whoever has just connected to send a request: a busy machine takes its time."""

# The kernel's own language: of what comes to the port, drop that which opens a connection. Byte 13 of a TCP
# header has the flags, of which 2 is SYN.
_NO_NEW_CONNECTIONS = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in ((0x30, 0, 0, 13), (0x45, 0, 1, 2), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
)
_SO_ATTACH_FILTER = 26


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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._begin()
        super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        await super().main_loop()
        self._begin()
        log.info("stopping: requests are still answered", extra={"seconds": self._drain_seconds})
        end = time.monotonic() + self._drain_seconds
        while time.monotonic() < end and not self.force_exit:
            await self.on_tick(0)  # a fresh date for the answers
            await asyncio.sleep(_LOOK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await self._take_no_more()
        await super().shutdown(sockets)

    def _begin(self) -> None:
        """From now on every answer closes its connection, as /ready's no promises."""
        for headers in (self.config.encoded_headers, self.server_state.default_headers):
            if _CLOSE not in headers:
                headers.append(_CLOSE)
        self._stopping.begun = True

    async def _take_no_more(self) -> None:
        """The end of listening resets connections that the kernel has made and the loop has not taken yet,
        and uvicorn's end closes those whose request it has not read: no such connection must be left then.
        """
        waiting = select.poll()
        for listener in (one.fileno() for server in self.servers for one in server.sockets):
            refuse_new_connections(listener)
            waiting.register(listener, select.POLLIN)
        await asyncio.sleep(_SETTLE_SECONDS)
        while waiting.poll(0):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        at_least, at_most = (time.monotonic() + seconds for seconds in _SEND_SECONDS)
        while time.monotonic() < at_least or (time.monotonic() < at_most and self._sends_still()):
            await asyncio.sleep(_SETTLE_SECONDS)

    def _sends_still(self) -> bool:
        """Whether somebody has connected and not yet sent a request's head."""
        return any(getattr(one, "cycle", None) is None for one in self.server_state.connections)


def refuse_new_connections(listener: int) -> None:
    """Those that are there can still be accepted; for others it is as if nobody listened. Linux alone can do
    that, elsewhere it does nothing."""
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(_NO_NEW_CONNECTIONS)
    count = len(_NO_NEW_CONNECTIONS) // 8
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(listener)) as one:
        one.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program))
        )
