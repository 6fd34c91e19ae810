"""The one place that is told what happened, and passes it on to whoever counts or keeps it.

Called in the event loop for every request: nothing here may wait, or take more than microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .access import current
from .history import History
from .identity import Caller
from .metrics import Metrics
from .model import ServedModel
from .prediction_log import PredictionLog
from .registry import Target
from .tallies import Tallies, latency_slot
from .visitors import Visitors


@dataclass(slots=True)
class Exchange:
    """One request for predictions and what became of it.

    model: None where none was found; route: `predict`, `invocations` or `v2`; by: how the version was chosen,
    `production`, `canary`, `version` or `alias`; outcome: `ok` or the error's code; rows: predictions in the
    answer; seconds: from the whole body received to the answer written, queued of them waiting for its turn.
    """

    model: ServedModel | None
    route: str
    by: str
    outcome: str
    status: int
    rows: int
    seconds: float
    queued: float
    caller: Caller
    data: Any = None
    predictions: Any = None


class Observations:
    def __init__(
        self,
        metrics: Metrics,
        visitors: Visitors,
        history: History | None = None,
        prediction_log: PredictionLog | None = None,
    ) -> None:
        self.metrics, self.visitors, self.prediction_log = metrics, visitors, prediction_log
        self.history = history or History()
        self._tallies = Tallies()
        metrics.registry.register(self._tallies)

    def note(self, exchange: Exchange) -> None:
        """A request is over, answered or refused. In the event loop's thread alone."""
        if (seen := current.get()) is not None:
            seen.exchange = exchange
        model = exchange.model
        if model is None:
            self._tallies.without_model(exchange.route, exchange.outcome)
            return
        target = model.target
        slot = latency_slot(exchange.seconds)
        self._tallies.add(target, exchange, slot)
        self.history.add(target.name, exchange.status, slot)
        if exchange.outcome == "ok":
            self.visitors.count(target.name, target.version, exchange.caller)
            if self.prediction_log is not None:
                self.prediction_log.keep(exchange, seen.request_id if seen else "")

    def batch(self, model: ServedModel, requests: int, rows: int, waited: float) -> None:
        """Requests run together; waited: seconds the first of them did. In the event loop's thread alone."""
        self._tallies.batch(model.target, requests, rows, waited)

    def compared(self, name: str, live_version: str, shadow_version: str, outcome: str) -> None:
        """A shadow's answer, beside the live one: `equal`, `different`, `failed` or `dropped`."""
        self.metrics.shadows.labels(name, live_version, shadow_version, outcome).inc()

    def refused(self, reason: str) -> None:
        """Nobody we know has asked, or may ask this: the error's code."""
        if (seen := current.get()) is not None:
            seen.refused = reason
        self.metrics.refused.labels(reason).inc()

    def load_failed(self, target: Target) -> None:
        """A version could not be loaded, once more."""
        self.metrics.load_failures.labels(target.name, target.version).inc()
