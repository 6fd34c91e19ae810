"""One process's counts on disk, always up to date: what a killed process has counted is not lost.

CACHE/visitors/SOURCE holds one record for each key: a count of 8 bytes, the key's length, the key as JSON;
after the last of them there are zeros. The file is mapped into memory: a count is overwritten in its place
without a call of the system, and survives the process (not a power cut, after which the last seconds may be
missing). Whoever counts holds the file's lock; a new process takes over a file that nobody holds and goes on
in it, so that there are never more files than there were processes at once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import mmap
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
_put_count = struct.Struct("<Q").pack_into
_LONGEST_KEY = 1 << 20
_ROOM = 64 * 1024
"""The file grows by so much at a time."""


class Journal:
    """counts: what was in it when it was taken over."""

    def __init__(
        self, source: str, descriptor: int | None, counts: dict[Key, int], places: dict[Key, int], end: int
    ):
        self.source, self.counts = source, counts
        self._descriptor, self._places, self._end = descriptor, places, end
        self._room: mmap.mmap | None = None
        self._complained = False
        if descriptor is not None:
            self._make_room(end)

    @classmethod
    def in_memory(cls) -> Journal:
        """Keeps nothing: where there is no place on disk for one."""
        return cls(uuid.uuid4().hex, None, {}, {}, 0)

    def write(self, key: Key, count: int) -> None:
        place = self._places.get(key)
        if place is not None and self._room is not None:
            _put_count(self._room, place, count)
        elif self._descriptor is not None:
            self._add(key, count)

    def sync(self) -> None:
        """To the disk itself: what the database is told must not be more than what is found after a crash."""
        if self._descriptor is not None:
            try:
                os.fsync(self._descriptor)  # mmap's own flush holds Python's lock until the disk is done
            except OSError as error:
                self._complain(error)

    def close(self) -> None:
        """Whoever comes next may take it over."""
        if self._room is not None:
            self._room.close()
            self._room = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _add(self, key: Key, count: int) -> None:
        name = json.dumps(key).encode()
        record = _HEAD.pack(count, len(name)) + name
        room = self._make_room(self._end + len(record))
        if room is None:
            return
        room[self._end : self._end + len(record)] = record
        self._places[key] = self._end
        self._end += len(record)

    def _make_room(self, size: int) -> mmap.mmap | None:
        """The file in memory, of at least so many bytes; None on a full disk.

        The database gets the counts all the same then, and the next write says all of it again. The room is
        there before it is written to: a mapped page that the disk has no place for kills the process.
        """
        if self._room is not None and size <= len(self._room):
            return self._room
        wanted = (size // _ROOM + 1) * _ROOM
        try:
            have = os.fstat(self._descriptor).st_size
            if have < wanted and os.pwrite(self._descriptor, bytes(wanted - have), have) < wanted - have:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            room = mmap.mmap(self._descriptor, wanted)
        except OSError as error:
            self._complain(error)
            return None
        if self._room is not None:
            self._room.close()
        self._room = room
        return room

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            log.warning("the visitors' journal cannot be written", extra={"reason": first_line(error)})
        self._complained = True


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
        os.ftruncate(descriptor, end)  # what a broken record left must not look like one
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
