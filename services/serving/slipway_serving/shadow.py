"""Copies of requests for a version that is only watched: its answers are compared, never returned.

A copy is made after the caller has its answer. Each shadow version has one thread and a short queue: what
does not fit is dropped and counted. The thread rests as long as it works, so that it takes at most half of
what is left of a processor. It keeps the usual priority: a thread of low priority that holds Python's lock
would hold up all others.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import first_line
from .model import ServedModel
from .registry import Target
from .runtimes.agreement import agreeing
from .slots import Choice
from .table import Table

log = logging.getLogger(__name__)

Told = Callable[[str, str, str, str], None]
"""(model, live version, shadow version, outcome): `equal`, `different`, `failed` or `dropped`."""

_REST_AT_MOST = 1.0
_IDLE_SECONDS = 30.0


@dataclass(slots=True)
class _Copy:
    live: ServedModel
    data: Any
    params: Any
    probabilities: bool
    predictions: Any


class Shadows:
    def __init__(self, told: Told, waiting: int = 64, rows: int = 20_000):
        """waiting, rows: of copies for one shadow version, at most."""
        self._told, self._waiting, self._rows = told, waiting, rows
        self._lanes: dict[Target, _Lane] = {}
        self._lock = threading.Lock()
        self._closed = False

    def copy(
        self, choice: Choice, data: Any, params: Any, predictions: Any, probabilities: bool = False
    ) -> None:
        """Ask the choice's shadow the same; params as the caller gave them. Returns at once, never raises."""
        shadow = choice.shadow
        if shadow is None or self._closed:
            return
        copied = _Copy(choice.model, data, params, probabilities, predictions)
        with self._lock:
            lane = self._lanes.get(shadow.target)
            if lane is None or lane.shadow is not shadow:
                lane = self._lanes[shadow.target] = _Lane(shadow, self._told, self._waiting, self._rows)
                self._forget(shadow)
        if not lane.add(copied):
            self._told(shadow.name, choice.model.version, shadow.version, "dropped")

    def close(self) -> None:
        """Compare no more; what waits is dropped."""
        self._closed = True
        with self._lock:
            for lane in self._lanes.values():
                lane.close()
            self._lanes.clear()

    def _forget(self, shadow: ServedModel) -> None:
        """A version that this name's shadow was before can leave the memory."""
        for target in [t for t in self._lanes if t.name == shadow.name and t != shadow.target]:
            self._lanes.pop(target).close()


class _Lane:
    """What waits for one shadow version; its thread ends where nothing has come for a while."""

    def __init__(self, shadow: ServedModel, told: Told, waiting: int, rows: int):
        self.shadow = shadow
        self._told, self._most_rows = told, rows
        self._queue: queue.Queue[_Copy | None] = queue.Queue(waiting)
        self._rows = 0
        self._lock = threading.Lock()
        self._running = self._closed = False
        self._said = False

    def add(self, copied: _Copy) -> bool:
        size = _size(copied.data)
        with self._lock:
            if self._closed or self._rows + size > self._most_rows:
                return False
            try:
                self._queue.put_nowait(copied)
            except queue.Full:
                return False
            self._rows += size
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name=f"shadow-{self.shadow.name}", daemon=True).start()
        return True

    def close(self) -> None:
        self._closed = True

    def _run(self) -> None:
        while not self._closed:
            try:
                copied = self._queue.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if self._queue.empty():
                        self._running = False
                        return
                continue
            began = time.monotonic()
            with self._lock:
                self._rows -= _size(copied.data)
            self._told(self.shadow.name, copied.live.version, self.shadow.version, self._outcome(copied))
            time.sleep(min(time.monotonic() - began, _REST_AT_MOST))

    def _outcome(self, copied: _Copy) -> str:
        try:
            data = _as_its_own(copied.live, self.shadow, copied.data)
            answer = self.shadow.predict(data, copied.params, probabilities=copied.probabilities)
            return "equal" if np.all(agreeing(copied.predictions, answer)) else "different"
        except Exception as error:
            if not self._said:
                self._said = True
                log.warning(
                    "a shadow version does not answer what the live one does",
                    extra={
                        "model": self.shadow.name,
                        "version": self.shadow.version,
                        "reason": first_line(error),
                    },
                )
            return "failed"


def _as_its_own(live: ServedModel, shadow: ServedModel, data: Any) -> Any:
    """The data as the shadow's own signature has it: its columns may be in another order, or others."""
    same = (live.signature or {}).get("inputs") == (shadow.signature or {}).get("inputs")
    if same or not isinstance(data, Table):
        return data
    return shadow.inputs.from_frame(data.frame(), "inputs")


def _size(data: Any) -> int:
    return len(data) if hasattr(data, "__len__") else 1
