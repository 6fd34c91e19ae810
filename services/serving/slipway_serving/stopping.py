"""A replica that is told to stop: it says so first, then goes on answering until nobody sends it anything."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import socket
import struct
import sys
import time
from types import FrameType

import uvicorn

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_CLOSE = (b"connection", b"close")
_ACCEPT_SECONDS = 0.05
"""For the event loop to take the connections that are there."""
_SEND_SECONDS = 0.3
"""For whoever has just connected to send what for."""

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
        self._stopping.begun = True
        super().handle_exit(sig, frame)

    async def main_loop(self) -> None:
        await super().main_loop()
        self._stopping.begun = True
        log.info("stopping: requests are still answered", extra={"seconds": self._drain_seconds})
        end = time.monotonic() + self._drain_seconds
        while time.monotonic() < end and not self.force_exit:
            await self._announce()
            await asyncio.sleep(_LOOK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await self._take_no_more()
        await super().shutdown(sockets)

    async def _announce(self) -> None:
        await self.on_tick(0)  # a fresh date for the answers
        self.server_state.default_headers.append(_CLOSE)

    async def _take_no_more(self) -> None:
        """The end of listening resets connections that the kernel has made and the loop has not taken yet,
        and uvicorn's end closes those whose request it has not read: no such connection must be left then.
        """
        await self._announce()
        for server in self.servers:
            for listener in server.sockets:
                refuse_new_connections(listener.fileno())
        await asyncio.sleep(_ACCEPT_SECONDS)
        for server in self.servers:
            server.close()
        await asyncio.sleep(_SEND_SECONDS)


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
