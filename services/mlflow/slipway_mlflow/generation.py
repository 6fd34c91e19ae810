"""A number that all workers of one server share, another one after every change of the permissions."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

LENGTH = 16


class Generation:
    """In a file of memory that the workers map; without a file, of this process alone."""

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self._memory = mmap.mmap(-1, LENGTH)
            return
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.truncate(handle, LENGTH)
            self._memory = mmap.mmap(handle, LENGTH)
        finally:
            os.close(handle)

    def __call__(self) -> bytes:
        return self._memory[:LENGTH]

    def advance(self) -> None:
        # By chance and not by one: two processes that count at once would count once.
        self._memory[:LENGTH] = os.urandom(LENGTH)
