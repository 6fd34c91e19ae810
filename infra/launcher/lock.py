"""One launcher at a time for each project: a lock that the system takes back when its holder ends, however it
ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.launcher.paths import STATE, ensure_state
from infra.launcher.problem import PRECONDITION, Problem


@contextmanager
def only_one(project: str, what: str, folder: Path = STATE) -> Iterator[None]:
    """Holds the project's lock; `what` is the command that a second launcher is told about."""
    if folder == STATE:
        ensure_state()
    path = folder / f"{project}.lock"
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode("utf-8", errors="replace").strip() or "another command"
            raise Problem(
                f"`{holder}` is at work on the project {project} right now.",
                "Wait until it has ended, then run this again; `./slipway status` shows how far it is.",
                PRECONDITION,
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"./slipway {what} (process {os.getpid()})".encode(), 0)
        yield
    finally:
        os.close(handle)
