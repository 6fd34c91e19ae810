"""The last hour of each model, minute by minute, for the pictures on its page: of this process alone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .tallies import FINE, SLOTS

MINUTES = 60


@dataclass(slots=True)
class Minute:
    """at: minutes since 1970. refused: the caller's fault; failed: ours. seconds: latencies by slot."""

    at: int
    answered: int = 0
    refused: int = 0
    failed: int = 0
    seconds: list[int] = field(default_factory=lambda: [0] * SLOTS)

    def percentile(self, share: float) -> float | None:
        return percentile(self.seconds, share)


class History:
    """Written and read in the event loop's thread alone."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._minutes: dict[str, deque[Minute]] = {}

    def add(self, model: str, status: int, slot: int) -> None:
        """A request for a model that the registry knows."""
        at = int(self._now()) // 60
        minutes = self._minutes.get(model)
        if minutes is None:
            minutes = self._minutes[model] = deque(maxlen=MINUTES)
        if not minutes or minutes[-1].at != at:
            minutes.append(Minute(at))
        minute = minutes[-1]
        if status < 400:
            minute.answered += 1
            minute.seconds[slot] += 1
        elif status < 500:
            minute.refused += 1
        else:
            minute.failed += 1

    def last_hour(self, model: str) -> list[Minute]:
        """MINUTES of them, the oldest first and the one that runs now last, quiet ones included."""
        now = int(self._now()) // 60
        known = {minute.at: minute for minute in self._minutes.get(model, ())}
        return [known.get(at) or Minute(at) for at in range(now - MINUTES + 1, now + 1)]


def percentile(counts: Sequence[int], share: float) -> float | None:
    """The latency that this share of requests did not exceed, within its slot; None of none."""
    total = sum(counts)
    if not total:
        return None
    wanted, before = share * total, 0
    for slot, count in enumerate(counts):
        if count and before + count >= wanted:
            low = FINE[slot - 1] if slot else 0.0
            high = FINE[min(slot, len(FINE) - 1)]
            return low + (high - low) * (wanted - before) / count
        before += count
    return FINE[-1]
