"""How much memory is left for another version: of the container's limit, else of the machine."""

from __future__ import annotations

import ctypes
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_FACTOR = 2  # what a version needs while it loads, by the size of its files: they are read, then unpacked
_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc alone has it


class TooLarge(Exception):
    """A version does not fit beside what is loaded; the message has the figures."""


def require(files: int, available: int | None = None) -> None:
    """Raises TooLarge where a version with so many bytes of files would not fit."""
    available = free_bytes() if available is None else available
    if available is not None and files * _FACTOR > available:
        raise TooLarge(
            f"it does not fit beside what is served: its files are {_megabytes(files)}, of memory"
            f" {_megabytes(available)} are free: give serving more (SERVING_MEMORY) or take aliases away"
        )


def give_back() -> None:
    """Return to the system what loading took and freed: glibc keeps it, in pieces, for later."""
    if _trim is not None:
        _trim(0)


def free_bytes(cgroup: Path = _CGROUP, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """The smaller of what the container and the machine have left; None where neither can be told."""
    found = [_of_machine(meminfo), _of_container(cgroup), _of_container(cgroup / "memory", v1=True)]
    known = [value for value in found if value is not None]
    return min(known) if known else None


def _of_machine(meminfo: Path) -> int | None:
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None


def _of_container(folder: Path, v1: bool = False) -> int | None:
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if v1 else ("memory.max", "memory.current")
    try:
        # "max" where there is no limit: no number.
        most, now = (int((folder / name).read_text()) for name in names)
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    # What is only cached of files can be given up.
    cached = int(stat.get("total_inactive_file" if v1 else "inactive_file", 0))
    return max(most - now + cached, 0)


def _megabytes(count: int) -> str:
    return f"{count / 1024**2:.0f} MB"
