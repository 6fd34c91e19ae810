"""Where predictions run: cheap ones in the event loop, costly ones together in a bounded set of threads.

The event loop stays free and overload is refused early. Batches are natural: there is no timer, what comes
in while a model is busy runs together when it is free. One bad row among them fails its own request alone.
A model has so many threads and no more, so that one that hangs takes none of another's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from .answers import Answer, Form, Request, quick_to_read
from .errors import Refused
from .gathering import BatchSeen, Gathering
from .lanes import Call, Lane, Run, Waiting, outcomes_of, predict_together
from .model import ServedModel
from .scoring import Question
from .table import Table

# Each with as many threads as a model may have; they are started when they are needed.
_MODELS = 32
# Runtimes that run what somebody wrote, which may wait for anything: never in the event loop.
_PEOPLES_CODE = frozenset({"pyfunc", "direct"})


class Runner:
    def __init__(
        self,
        workers: int,
        max_pending: int,
        *,
        max_batch_rows: int = 1024,
        at_once_seconds: float = 200e-6,
        request_seconds: float = 30,
        on_batch: BatchSeen = lambda model, requests, rows, waited: None,
        others: Callable[[], bool] = lambda: True,
    ):
        """workers: threads that one version predicts with; max_pending: requests being worked on or waiting,
        all together.

        at_once_seconds: what is predicted faster is not worth a thread; request_seconds: how long a request
        waits for its answer, and after which a call counts as one that hangs; others: whether more than one
        request is under way, so that a cheap one may run with others.
        """
        self._pool = ThreadPoolExecutor(workers * _MODELS, thread_name_prefix="predict")
        self._aside = ThreadPoolExecutor(2, thread_name_prefix="aside")
        self._workers = workers
        self._max_pending = max_pending
        self._max_batch_rows = max_batch_rows
        self._at_once_seconds = at_once_seconds
        self._request_seconds = request_seconds
        self._on_batch, self._others = on_batch, others
        self._gathering = Gathering(on_batch)
        self._lanes: dict[int, Lane] = {}
        self.pending = 0

    async def answer(self, form: Form, model: ServedModel, request: Request) -> Answer:
        """One request's body -> its answer; raises Refused, at once where too many wait already."""
        if not quick_to_read(model, request):
            return await self._call(model, form.in_one_go, model, request)
        question = form.read(request, model)
        data = question.data
        if question.params is None and type(data) is Table:
            if model.runtime.name not in _PEOPLES_CODE and model.cost(data.rows) <= self._at_once_seconds:
                predictions = None
                if model.row_wise and data.whole and self._others():
                    predictions = await self._gathering.predict(model, data, question.probabilities)
                try:
                    if predictions is None:
                        predictions = model.quick(data, question.probabilities)
                    return form.finished(model, question, predictions)
                except Exception:  # noqa: S110 - the reference may know, and it is not quick
                    pass
            elif model.row_wise and data.whole and data.rows <= self._max_batch_rows:
                return await self._together(form, model, question)
        return await self._call(model, form.answer, model, question)

    async def aside(self, work: Callable[..., Any], *args: Any) -> Any:
        """Work that has nothing to do with a model and surely ends."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, partial(work, *args))

    def stuck(self) -> dict[str, int]:
        """Calls that hang, by model and version."""
        return {
            f"{lane.model.name} version {lane.model.version}": lane.stuck
            for lane in self._lanes.values()
            if lane.stuck
        }

    def close(self) -> bool:
        """Finish what runs, drop what waits; False where something hangs that will not end."""
        hangs = any(lane.stuck for lane in self._lanes.values())
        self._pool.shutdown(wait=not hangs, cancel_futures=True)
        self._aside.shutdown(cancel_futures=True)
        return not hangs

    async def _call(self, model: ServedModel, work: Callable[..., Answer], *args: Any) -> Answer:
        waiting = Call(self._admit(), partial(work, *args))
        lane = self._lane(model)
        lane.calls.append(waiting)
        self._advance(lane)
        answer = await waiting.future
        answer.queued = waiting.queued
        return answer

    async def _together(self, form: Form, model: ServedModel, question: Question) -> Answer:
        waiting = Waiting(self._admit(), question.data, question.probabilities)
        lane = self._lane(model)
        lane.tables.append(waiting)
        self._advance(lane)
        answer = form.finished(model, question, await waiting.future)
        answer.queued = waiting.queued
        return answer

    def _admit(self) -> asyncio.Future:
        if self.pending >= self._max_pending:
            raise Refused("overloaded", f"{self.pending} requests are waiting already: try again", None, 1)
        self.pending += 1
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        timer = loop.call_later(self._request_seconds, self._too_late, future)
        future.add_done_callback(partial(self._over, timer))
        return future

    def _lane(self, model: ServedModel) -> Lane:
        lane = self._lanes.get(id(model))
        if lane is None:
            lane = self._lanes[id(model)] = Lane(model)
        return lane

    def _over(self, timer: asyncio.TimerHandle, future: asyncio.Future) -> None:
        timer.cancel()
        self.pending -= 1
        if not future.cancelled():
            future.exception()  # taken here too, for a caller that has gone away

    def _too_late(self, future: asyncio.Future) -> None:
        if not future.done():
            future.set_exception(
                Refused("timed_out", f"there was no answer within {self._request_seconds:g} seconds", None, 5)
            )

    def _advance(self, lane: Lane) -> None:
        """Start what may start; forget a lane where nothing is left, so that a version can go."""
        if lane.stuck >= self._workers:
            for waiting in lane.drop_all():
                waiting.tell(_stuck(lane))
            return
        while lane.running < self._workers:
            run = lane.next_run(self._max_batch_rows)
            if run is None:
                break
            self._start(lane, run)
        if not lane.running:
            self._lanes.pop(id(lane.model), None)

    def _start(self, lane: Lane, run: Run) -> None:
        loop = asyncio.get_running_loop()
        try:
            if run.batch:
                self._on_batch(lane.model, len(run.batch), run.rows, run.batch[0].queued)
                tables = [waiting.table for waiting in run.batch]
                done = loop.run_in_executor(
                    self._pool, predict_together, lane.model, tables, run.batch[0].probabilities
                )
            else:
                done = loop.run_in_executor(self._pool, run.call.work)
        except RuntimeError:  # the pool is closed: the server is being stopped
            for waiting in run.waiting:
                waiting.tell(_stopping())
            return
        lane.started(run)
        timer = loop.call_later(self._request_seconds, self._hangs, lane, run)
        done.add_done_callback(partial(self._ended, lane, run, timer))

    def _hangs(self, lane: Lane, run: Run) -> None:
        lane.hangs(run)
        self._advance(lane)

    def _ended(self, lane: Lane, run: Run, timer: asyncio.TimerHandle, done: asyncio.Future) -> None:
        timer.cancel()
        lane.ended(run)
        if done.cancelled():
            outcomes: list[Any] = [_stopping()] * len(run.waiting)
        else:
            outcomes = outcomes_of(run, done)
        for waiting, outcome in zip(run.waiting, outcomes, strict=True):
            waiting.tell(outcome)
        self._advance(lane)


def _stopping() -> Refused:
    return Refused("overloaded", "the server is being stopped: try again", None, 1)


def _stuck(lane: Lane) -> Refused:
    return Refused(
        "model_stuck",
        f"{lane.model.name} version {lane.model.version} does not come back from {lane.stuck} earlier calls:"
        " its owner has to look at it",
        None,
        30,
    )
