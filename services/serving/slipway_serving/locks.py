"""Locks on files, by which replicas that share a cache's folder know of each other.

The system releases them when a process ends, however it ends: there is nothing to clean up and no clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.05


class Locks:
    """folder/NAME.lease: held, shared, while processes use NAME; folder/NAME.fetch: while one fetches it."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._held: dict[str, int] = {}
        self._lock = threading.Lock()

    def hold(self, name: str) -> None:
        """Say that this process uses it, until `release`."""
        with self._lock:
            if name in self._held:
                return
            while (handle := self._locked(f"{name}.lease", fcntl.LOCK_SH, seconds=60)) is None:
                log.warning("a cached version has been locked for a minute", extra={"lock": name})
            self._held[name] = handle

    def release(self, name: str) -> None:
        with self._lock:
            handle = self._held.pop(name, None)
            if handle is not None:
                os.close(handle)

    def held(self) -> set[str]:
        with self._lock:
            return set(self._held)

    @contextlib.contextmanager
    def fetching(self, name: str, seconds: float) -> Iterator[None]:
        """One process at a time; after so many seconds of waiting, this one all the same."""
        handle = self._locked(f"{name}.fetch", fcntl.LOCK_EX, seconds)
        try:
            yield
        finally:
            if handle is not None:
                os.close(handle)

    @contextlib.contextmanager
    def alone(self, name: str) -> Iterator[bool]:
        """Whether no process uses or fetches it; nobody can begin to before the end."""
        handles = [self._locked(f"{name}.{kind}", fcntl.LOCK_EX, 0) for kind in ("lease", "fetch")]
        free = None not in handles
        try:
            yield free
            if free:
                for kind in ("lease", "fetch"):
                    (self._folder / f"{name}.{kind}").unlink(missing_ok=True)
        finally:
            for handle in handles:
                if handle is not None:
                    os.close(handle)

    def _locked(self, name: str, how: int, seconds: float) -> int | None:
        path, deadline = self._folder / name, time.monotonic() + seconds
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(handle, how | fcntl.LOCK_NB)
                # Whoever held it may have removed it meanwhile: then it locks nothing.
                if os.fstat(handle).st_nlink:
                    return handle
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(handle)
                    return None
                time.sleep(_LOOK_SECONDS)
            os.close(handle)
