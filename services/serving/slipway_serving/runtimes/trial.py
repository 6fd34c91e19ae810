"""One candidate: how its answers compare with the native model's, and how fast it is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import first_line
from ..table import Table, stacked
from . import Runtime, Unfit, agreement

SIZES = (1, 64, 1024)
_TRIES, _MEASURE_SECONDS = 100, 0.03

Piece = tuple[Any, Any]
"""A batch, and the native model's answer to it or the exception it raised."""
Tick = Callable[[], None]
"""Called between small pieces of work; raises where the time is up."""


@dataclass
class Trial:
    """What is known of one candidate."""

    name: str
    runtime: Runtime | None = None
    state: str = "kept"
    reason: str | None = None
    compared: int = 0
    agreed: int = 0
    handed_back: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def drop(self, reason: str, state: str = "dropped") -> None:
        self.state, self.reason = state, reason

    @property
    def score(self) -> float:
        if not {1, 64} <= self.seconds.keys():
            return float("inf")
        return (self.seconds[1] * self.seconds[64]) ** 0.5

    def compare(self, pieces: list[Piece], tick: Tick) -> None:
        """Drop it at the first row that differs, and where it cannot run most batches."""
        ordinary_back = 0
        for data, answer in pieces:
            tick()
            size = len(data)
            try:
                own = self.runtime.predict(data)  # type: ignore[union-attr]
            except Exception as error:
                # Served so, the request would go to the reference: no wrong answer, but no use either.
                self.handed_back += size
                ordinary_back += size if size > 1 else 0
                self.reason = self.reason or first_line(error)
                continue
            self.compared += size
            if isinstance(answer, Exception):
                self.drop(f"it answers what the native model refuses ({first_line(answer)})")
                return
            same = agreement.agreeing(answer, own)
            agreed = int(np.sum(same)) if isinstance(same, np.ndarray) else size * bool(same)
            self.agreed += agreed
            if agreed < size:
                self.drop(f"{size - agreed} of {size} rows differ from the native model's")
                return
        if ordinary_back * 2 > sum(len(data) for data, _ in pieces if len(data) > 1):
            self.drop(f"it cannot run most inputs ({self.reason})")
        else:
            self.reason = None

    def compare_probabilities(self, reference: Runtime, pieces: list[Piece], tick: Tick) -> None:
        if not (self.runtime.probabilities and reference.probabilities):  # type: ignore[union-attr]
            return
        for data, answer in pieces[:2]:
            if isinstance(answer, Exception):
                continue
            expected = reference.predict_proba(data)
            # A probability is a number between 0 and 1: what float32 rounds of it is not told apart.
            own = self.runtime.predict_proba(data)  # type: ignore[union-attr]
            if np.shape(own) != np.shape(expected) or not np.allclose(own, expected, rtol=0, atol=1e-5):
                self.drop("its probabilities differ from the native model's")
                return
            tick()

    def measure(self, pieces: list[Piece], tick: Tick) -> None:
        """The smallest of a few times, by number of rows."""
        usable = [
            (data, answer) for data, answer in pieces if len(data) > 1 and not isinstance(answer, Exception)
        ]
        if not usable:
            return
        largest = joined([data for data, _ in usable[:2]])
        for size in SIZES:
            if len(largest) < size or (size > 64 and self.seconds.get(64, 0) > 1):
                break
            for start in range(0, len(largest) - size + 1, size):
                with contextlib.suppress(Unfit):  # rows among them that it leaves to the reference
                    self.seconds[size] = self._fastest(take(largest, slice(start, start + size)), tick)
                    break

    def report(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "agreed": self.agreed,
            "compared": self.compared,
            "handed_back": self.handed_back,
            "probabilities": bool(self.runtime and self.runtime.probabilities),
            "microseconds_per_row": {
                str(size): round(seconds / size * 1e6, 2) for size, seconds in self.seconds.items()
            },
        }

    def _fastest(self, data: Any, tick: Tick) -> float:
        best, began = float("inf"), time.perf_counter()
        for _ in range(_TRIES):
            tick()
            start = time.perf_counter()
            self.runtime.predict(data)  # type: ignore[union-attr]
            end = time.perf_counter()
            best = min(best, end - start)
            if end - began > _MEASURE_SECONDS:
                break
        return best


def take(data: Any, rows: slice) -> Any:
    return data.take(rows) if isinstance(data, Table) else data[rows]


def rows_of(answer: Any, rows: slice) -> Any:
    return answer.iloc[rows] if hasattr(answer, "iloc") else answer[rows]


def joined(pieces: list[Any]) -> Any:
    return stacked(pieces) if isinstance(pieces[0], Table) else np.concatenate(pieces)
