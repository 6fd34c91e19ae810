"""Cheap predictions whose requests were read in one turn of the event loop: one call of the model for all.

A call costs far more than one row more in it. Nothing waits for a timer: what is there when the loop comes
round again is predicted, in the loop's own thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .lanes import predict_in_one_go
from .model import ServedModel
from .table import Table

BatchSeen = Callable[[ServedModel, int, int, float], None]
"""(model, requests, rows, seconds the first of them waited): told of each batch, in the event loop."""


class Gathering:
    """In the event loop's thread alone; for models whose predictions do not depend on the rows beside."""

    def __init__(self, on_batch: BatchSeen) -> None:
        self._on_batch = on_batch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[tuple[int, bool], list[tuple[Table, asyncio.Future]]] = {}

    def predict(self, model: ServedModel, table: Table, probabilities: bool) -> asyncio.Future:
        """The table's predictions; None where all together failed, and each has to be asked alone."""
        if self._loop is None:  # told once: in Python 3.11 to ask for it is a call of the system
            self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        key = (id(model), probabilities)
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
            self._loop.call_soon(self._run, model, key)
        waiting.append((table, future))
        return future

    def _run(self, model: ServedModel, key: tuple[int, bool]) -> None:
        waiting = self._waiting.pop(key)
        tables = [table for table, _ in waiting]
        try:
            outcomes = predict_in_one_go(model, tables, key[1])
        except Exception:
            outcomes = [None] * len(waiting)
        else:
            self._on_batch(model, len(tables), sum(table.rows for table in tables), 0.0)
        for (_, future), outcome in zip(waiting, outcomes, strict=True):
            if not future.done():
                future.set_result(outcome)
