"""Whether a port of this machine is free, and who holds it if not."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

FREE, TAKEN, NO_SUCH_ADDRESS, UNKNOWN = "free", "taken", "no such address", "unknown"


def look(address: str, port: int) -> str:
    """FREE, TAKEN, NO_SUCH_ADDRESS if the address is not this machine's, or UNKNOWN."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        return NO_SUCH_ADDRESS
    with socket.socket(family, kind, protocol) as listener:
        # Connections of an earlier server that are still closing do not hold the port.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(target)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return TAKEN
            if error.errno == errno.EADDRNOTAVAIL:
                return NO_SUCH_ADDRESS
            # A plain user may not bind a low port, but the engine may: see whether somebody answers.
            return TAKEN if error.errno == errno.EACCES and _answers(target, family) else UNKNOWN
    return FREE


def _answers(target: tuple, family: int) -> bool:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(target[0], target[0])  # noqa: S104 - compared, not bound
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        return client.connect_ex((host, *target[1:])) == 0


def holder(port: int, proc: Path = Path("/proc")) -> str | None:
    """`nginx (process 812)` for a process of this machine that listens there; None if that cannot be seen."""
    sockets = listening_sockets(port, proc)
    if not sockets:
        return None
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if any(target(link) in sockets for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        except OSError:  # it ended, or it is another user's
            continue
    return None


def target(link: Path) -> str:
    try:
        return os.readlink(str(link))
    except OSError:  # closed in the meantime
        return ""


def listening_sockets(port: int, proc: Path) -> set[str]:
    """The sockets that listen on the port, as /proc/PID/fd names them."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            words = row.split()
            if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                found.add(f"socket:[{words[9]}]")
    return found
