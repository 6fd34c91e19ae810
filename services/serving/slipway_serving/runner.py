"""Where predictions run: cheap ones at once, costly ones together in a bounded set of threads.

The event loop stays free and overload is refused early. Batches are natural: there is no timer, what comes
in while a model is busy runs together when it is free. One bad row among them fails its own request alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .answers import Answer, Form
from .errors import Refused
from .model import ServedModel
from .table import Table, stacked

BatchSeen = Callable[[ServedModel, int, int, float], None]
"""(model, requests, rows, seconds the first of them waited): told of each batch, in the event loop."""


class Runner:
    def __init__(
        self,
        workers: int,
        max_pending: int,
        *,
        max_batch_rows: int = 1024,
        at_once_seconds: float = 200e-6,
        on_batch: BatchSeen = lambda model, requests, rows, waited: None,
    ):
        """workers: threads that predict; max_pending: requests being worked on or waiting, all together.

        at_once_seconds: what is predicted faster is not worth a thread.
        """
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        self._max_pending = max_pending
        self._max_batch_rows = max_batch_rows
        self._at_once_seconds = at_once_seconds
        self._on_batch = on_batch
        self._lanes: dict[int, _Lane] = {}
        self.pending = 0

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        """work(*args), a Form in the way that suits the model; raises what it raises.

        Refused at once where too many wait already.
        """
        if isinstance(work, Form):
            return await self.answer(work, *args)
        return await self._in_thread(work, *args)

    async def answer(self, form: Form, model: ServedModel, body: bytes, content_type: str) -> Answer:
        """One request's body -> its answer."""
        if not form.quick_to_read(model, body, content_type):
            return await self._in_thread(form, model, body, content_type)
        data, params = form.read(body, content_type, model.inputs)
        if params is None and isinstance(data, Table):
            if model.cost(len(data)) <= self._at_once_seconds:
                try:
                    return form.write(model, model.quick(data))
                except Exception:  # noqa: S110 - the reference may know, and it is not quick
                    pass
            elif model.row_wise and data.whole and len(data) <= self._max_batch_rows:
                return form.write(model, await self._together(model, data))
        return await self._in_thread(_predict_and_write, form, model, data, params)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    async def _in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        self._admit()
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        # Counted until the thread is done, not until the caller has gone away.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    async def _together(self, model: ServedModel, table: Table) -> Any:
        self._admit()
        future = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._done)
        lane = self._lanes.setdefault(id(model), _Lane(model))
        lane.waiting.append(_Waiting(table, future))
        if not lane.busy:
            self._start(lane)
        return await asyncio.shield(future)

    def _admit(self) -> None:
        if self.pending >= self._max_pending:
            raise Refused("overloaded", f"{self.pending} requests are waiting already: try again", None, 1)
        self.pending += 1

    def _done(self, future: asyncio.Future) -> None:
        self.pending -= 1
        if not future.cancelled():
            future.exception()  # taken here too, for a caller that has gone away

    def _start(self, lane: _Lane) -> None:
        """Run what waits in a lane; forget a lane where nothing does, so that a version can go."""
        batch = lane.next_batch(self._max_batch_rows)
        lane.busy = bool(batch)
        if not batch:
            del self._lanes[id(lane.model)]
            return
        rows = sum(len(waiting.table) for waiting in batch)
        self._on_batch(lane.model, len(batch), rows, time.monotonic() - batch[0].since)
        tables = [waiting.table for waiting in batch]
        try:
            running = asyncio.get_running_loop().run_in_executor(
                self._pool, predict_together, lane.model, tables
            )
        except RuntimeError:  # the pool is closed: the server is being stopped
            for waiting in batch:
                waiting.tell(_stopping())
            self._start(lane)
            return
        running.add_done_callback(lambda done: self._fan_out(lane, batch, done))

    def _fan_out(self, lane: _Lane, batch: list[_Waiting], done: asyncio.Future) -> None:
        if done.cancelled():
            outcomes: Sequence[Any] = [
                Refused("overloaded", "the server is being stopped: try again", None, 1)
            ]
        else:
            outcomes = [done.exception()] if done.exception() else done.result()
        for i, waiting in enumerate(batch):
            waiting.tell(outcomes[i] if len(outcomes) == len(batch) else outcomes[0])
        self._start(lane)


@dataclass
class _Waiting:
    table: Table
    future: asyncio.Future
    since: float = field(default_factory=time.monotonic)

    def tell(self, outcome: Any) -> None:
        if self.future.done():
            return
        if isinstance(outcome, BaseException):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)


@dataclass
class _Lane:
    """The queue of one version of one model, which runs one batch at a time."""

    model: ServedModel
    waiting: deque[_Waiting] = field(default_factory=deque)
    busy: bool = False

    def next_batch(self, max_rows: int) -> list[_Waiting]:
        batch: list[_Waiting] = []
        rows = 0
        while self.waiting and (not batch or rows + len(self.waiting[0].table) <= max_rows):
            batch.append(self.waiting.popleft())
            rows += len(batch[-1].table)
        return batch


def predict_together(model: ServedModel, tables: Sequence[Table]) -> list[Any]:
    """Each table's predictions, or its Refused: all in one go, or each alone where that fails."""
    if len(tables) > 1:
        try:
            return _parts(model.quick(stacked(tables)), [len(table) for table in tables])
        except Exception:  # noqa: S110 - whose fault it is, the requests alone will show
            pass
    return [_alone(model, table) for table in tables]


def _stopping() -> Refused:
    return Refused("overloaded", "the server is being stopped: try again", None, 1)


def _alone(model: ServedModel, table: Table) -> Any:
    try:
        return model.predict(table)
    except Exception as error:
        return error


def _parts(predictions: Any, sizes: Sequence[int]) -> list[Any]:
    if not isinstance(predictions, list | np.ndarray) or len(predictions) != sum(sizes):
        raise ValueError("not one prediction a row")
    ends = np.cumsum(sizes).tolist()
    return [predictions[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def _predict_and_write(form: Form, model: ServedModel, data: Any, params: Any) -> Answer:
    return form.write(model, model.predict(data, params, form.strict))
