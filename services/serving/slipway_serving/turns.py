"""One at a time, the most important first."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import sys
import threading
from collections.abc import Iterator

_BRISK_SECONDS = 0.0005


class Turns:
    """Two big models loading at once would need the memory of both beside what is live."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._waiting: list[tuple[int, int]] = []
        self._numbers = itertools.count()
        self._busy = False

    @contextlib.contextmanager
    def take(self, rank: int) -> Iterator[None]:
        """Wait for the turn; of those that wait the smallest rank comes first."""
        mine = (rank, next(self._numbers))
        with self._condition:
            heapq.heappush(self._waiting, mine)
            self._condition.wait_for(lambda: not self._busy and self._waiting[0] == mine)
            heapq.heappop(self._waiting)
            self._busy = True
        try:
            with _brisk():
                yield
        finally:
            with self._condition:
                self._busy = False
                self._condition.notify_all()


@contextlib.contextmanager
def _brisk() -> Iterator[None]:
    """Whoever loads gives Python's lock up ten times as often as usual to those who answer requests."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_BRISK_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
