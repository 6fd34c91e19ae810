"""One process's counts on disk, always up to date: what a killed process has counted is not lost.

CACHE/visitors/SOURCE holds one record for each key: a count of 8 bytes, the key's length, the key as JSON. A
count is overwritten in its place, which costs a microsecond and survives the process (not a power cut, after
which the last seconds may be missing). Whoever counts holds the file's lock; a new process takes over a file
that nobody holds and goes on in it, so that there are never more files than there were processes at once.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import first_line

if TYPE_CHECKING:
    from .visitors import Key

log = logging.getLogger(__name__)
_HEAD = struct.Struct("<QI")
_pack_count = struct.Struct("<Q").pack
_LONGEST_KEY = 1 << 20


class Journal:
    """counts: what was in it when it was taken over."""

    def __init__(
        self, source: str, descriptor: int | None, counts: dict[Key, int], places: dict[Key, int], end: int
    ):
        self.source, self.counts = source, counts
        self._descriptor, self._places, self._end = descriptor, places, end
        self._complained = False

    @classmethod
    def in_memory(cls) -> Journal:
        """Keeps nothing: where there is no place on disk for one."""
        return cls(uuid.uuid4().hex, None, {}, {}, 0)

    def write(self, key: Key, count: int) -> None:
        if self._descriptor is None:
            return
        try:
            place = self._places.get(key)
            if place is not None:
                os.pwrite(self._descriptor, _pack_count(count), place)
                return
            name = json.dumps(key).encode()
            record = _HEAD.pack(count, len(name)) + name
            if os.pwrite(self._descriptor, record, self._end) == len(record):
                self._places[key] = self._end
                self._end += len(record)
        except OSError as error:
            # A full disk. The database gets the counts all the same, and the next write says all of it again.
            if not self._complained:
                log.warning("the visitors' journal cannot be written", extra={"reason": first_line(error)})
            self._complained = True

    def sync(self) -> None:
        """To the disk itself: what the database is told must not be more than what is found after a crash."""
        if self._descriptor is not None:
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                log.warning("the visitors' journal cannot be written", extra={"reason": first_line(error)})

    def close(self) -> None:
        """Whoever comes next may take it over."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Journals:
    """The folder of them, which replicas may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mine: str | None = None
        self._handed_in: dict[str, tuple[int, int]] = {}

    def mine(self) -> Journal:
        """One that nobody holds, or a new one, held until the process ends."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for path in sorted(self._folder.iterdir()):
                if (descriptor := _lock(path)) is not None:
                    return self._taken(path.name, descriptor)
            path = self._folder / uuid.uuid4().hex
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._taken(path.name, descriptor)
        except OSError as error:
            log.warning("there is no visitors' journal", extra={"reason": first_line(error)})
            return Journal.in_memory()

    def hand_in_orphans(self, save: Callable[[str, dict[Key, int]], None]) -> None:
        """What replicas counted that are not there any more, once for each state of their files."""
        for path in self._paths():
            if path.name == self._mine or (descriptor := _lock(path)) is None:
                continue
            try:
                facts = os.fstat(descriptor)
                state = (facts.st_mtime_ns, facts.st_size)
                if self._handed_in.get(path.name) != state:
                    if counts := _read(descriptor)[0]:
                        save(path.name, counts)
                    self._handed_in[path.name] = state
            finally:
                os.close(descriptor)

    def _paths(self) -> list[Path]:
        try:
            return list(self._folder.iterdir())
        except OSError:
            return []

    def _taken(self, source: str, descriptor: int) -> Journal:
        self._mine = source
        counts, places, end = _read(descriptor)
        os.ftruncate(descriptor, end)
        return Journal(source, descriptor, counts, places, end)


def _lock(path: Path) -> int | None:
    """The open file, locked; None where somebody holds it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _read(descriptor: int) -> tuple[dict[Key, int], dict[Key, int], int]:
    """Counts and places by key, and where the last whole record ends."""
    counts: dict[Key, int] = {}
    places: dict[Key, int] = {}
    data, end = os.pread(descriptor, os.fstat(descriptor).st_size, 0), 0
    while end + _HEAD.size <= len(data):
        count, length = _HEAD.unpack_from(data, end)
        name = data[end + _HEAD.size : end + _HEAD.size + length]
        if not 0 < length <= _LONGEST_KEY or len(name) < length:
            break
        try:
            model, version, kind, caller = json.loads(name)
        except ValueError:
            break
        counts[model, version, kind, caller] = count
        places[model, version, kind, caller] = end
        end += _HEAD.size + length
    return counts, places, end
