"""The queue of one version of one model: what waits, what runs, what hangs. Knows no threads and no clock but
the one that measures waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np

from .model import ServedModel
from .table import Table, stacked


@dataclass(slots=True, eq=False)
class _Turn:
    future: asyncio.Future
    since: float = field(default_factory=time.monotonic, kw_only=True)
    queued: float = field(default=0.0, kw_only=True)

    @property
    def given_up(self) -> bool:
        """Nobody waits for it any more."""
        return self.future.done()

    def tell(self, outcome: Any) -> None:
        if self.future.done():
            return
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass(slots=True, eq=False)
class Call(_Turn):
    """A request that runs alone."""

    work: Callable[[], Any]


@dataclass(slots=True, eq=False)
class Waiting(_Turn):
    """A request whose rows may run with others'."""

    table: Table
    probabilities: bool


@dataclass(slots=True, eq=False)
class Run:
    """What one thread is given: one call, or a batch."""

    call: Call | None = None
    batch: list[Waiting] = field(default_factory=list)
    hangs: bool = False

    @property
    def waiting(self) -> Sequence[Call | Waiting]:
        return self.batch or [self.call]  # type: ignore[list-item]

    @property
    def rows(self) -> int:
        return sum(waiting.table.rows for waiting in self.batch)


class Lane:
    """One batch at a time, beside calls that run alone; another batch only where the first one hangs."""

    def __init__(self, model: ServedModel) -> None:
        self.model = model
        self.calls: deque[Call] = deque()
        self.tables: deque[Waiting] = deque()
        self.running = self.stuck = self._batches = 0

    def next_run(self, max_rows: int) -> Run | None:
        """What has its turn now, None where nothing has."""
        now = time.monotonic()
        if not self._batches:
            while self.tables and self.tables[0].given_up:
                self.tables.popleft()
            if batch := self._next_batch(max_rows):
                for waiting in batch:
                    waiting.queued = now - waiting.since
                return Run(batch=batch)
        while self.calls:
            call = self.calls.popleft()
            if not call.given_up:
                call.queued = now - call.since
                return Run(call)
        return None

    def started(self, run: Run) -> None:
        self.running += 1
        self._batches += bool(run.batch)

    def hangs(self, run: Run) -> None:
        run.hangs = True
        self.stuck += 1
        self._batches -= bool(run.batch)

    def ended(self, run: Run) -> None:
        self.running -= 1
        if run.hangs:
            self.stuck -= 1
        else:
            self._batches -= bool(run.batch)

    def drop_all(self) -> list[Call | Waiting]:
        """Everything that has not begun."""
        waiting = [*self.calls, *self.tables]
        self.calls.clear()
        self.tables.clear()
        return waiting

    def _next_batch(self, max_rows: int) -> list[Waiting]:
        batch: list[Waiting] = []
        rows, tables = 0, self.tables
        while tables:
            first = tables[0]
            if batch and (
                rows + first.table.rows > max_rows or first.probabilities != batch[0].probabilities
            ):
                break
            tables.popleft()
            if not first.given_up:
                batch.append(first)
                rows += first.table.rows
        return batch


def predict_together(model: ServedModel, tables: Sequence[Table], probabilities: bool) -> list[Any]:
    """Each table's predictions, or its Refused: all in one go, or each alone where that fails."""
    if len(tables) > 1:
        try:
            return predict_in_one_go(model, tables, probabilities)
        except Exception:  # noqa: S110 - whose fault it is, the requests alone will show
            pass
    return [_alone(model, table, probabilities) for table in tables]


def outcomes_of(run: Run, done: asyncio.Future) -> list[Any]:
    """One outcome for each that waits."""
    error = done.exception()
    if error is not None:
        return [error] * len(run.waiting)
    return done.result() if run.batch else [done.result()]


def predict_in_one_go(model: ServedModel, tables: Sequence[Table], probabilities: bool) -> list[Any]:
    """Each table's predictions by one call; raises what the model does, and where it gives not one a row."""
    predictions = model.quick(stacked(tables), probabilities)
    sizes = [table.rows for table in tables]
    if not isinstance(predictions, list | np.ndarray) or len(predictions) != sum(sizes):
        raise ValueError("not one prediction a row")
    return [predictions[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]


def _alone(model: ServedModel, table: Table, probabilities: bool) -> Any:
    try:
        return model.predict(table, None, False, probabilities)
    except Exception as error:
        return error
