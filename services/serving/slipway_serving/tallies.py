"""What requests and batches were like, counted in plain integers and given to Prometheus when it asks.

prometheus_client's own children take a lock and a walk over the buckets at each observation: here one binary
search serves the histogram and the pictures of the last hour alike.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from .registry import Target

if TYPE_CHECKING:
    from .observations import Exchange

SECONDS = (
    *(50e-6, 100e-6, 200e-6, 500e-6),
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 5.0, 10.0),
)
"""50 µs to 10 s: Prometheus' buckets."""
ROWS = (1, 4, 16, 64, 256, 1024, 4096, 16384)
REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PARTS = 4


def _finer(bounds: Sequence[float]) -> tuple[float, ...]:
    """Each step cut into equal ratios: percentiles are then told within a few per cent."""
    fine = [bounds[0]]
    for low, high in pairwise(bounds):
        fine += [low * (high / low) ** (part / _PARTS) for part in range(1, _PARTS)]
        fine.append(high)
    return tuple(fine)


FINE = _finer(SECONDS)
"""The bounds that latencies are counted by."""
SLOTS = len(FINE) + 1


def latency_slot(seconds: float) -> int:
    """Which of the SLOTS a latency belongs to; the last is for all above the largest bound."""
    return bisect_left(FINE, seconds)


class Tally:
    """Of one version by one route."""

    __slots__ = ("by", "outcomes", "queued", "queued_sum", "rows", "rows_sum", "seconds", "seconds_sum")

    def __init__(self) -> None:
        self.outcomes: defaultdict[str, int] = defaultdict(int)
        self.by: defaultdict[str, int] = defaultdict(int)
        self.seconds, self.seconds_sum = [0] * SLOTS, 0.0
        self.queued, self.queued_sum = [0] * (len(SECONDS) + 1), 0.0
        self.rows, self.rows_sum = [0] * (len(ROWS) + 1), 0


class Batches:
    """Of one version."""

    __slots__ = ("requests", "requests_sum", "rows", "rows_sum", "waited", "waited_sum")

    def __init__(self) -> None:
        self.requests, self.requests_sum = [0] * (len(REQUESTS) + 1), 0
        self.rows, self.rows_sum = [0] * (len(ROWS) + 1), 0
        self.waited, self.waited_sum = [0] * (len(SECONDS) + 1), 0.0


class Tallies:
    """Labels hold only names that the registry gave, never what a caller wrote: the series stay bounded.

    Written in the event loop's thread alone, read at a scrape by any.
    """

    def __init__(self) -> None:
        self._tallies: dict[tuple[str, str, str], Tally] = {}
        self._batches: dict[tuple[str, str], Batches] = {}
        self._unfound: defaultdict[tuple[str, str], int] = defaultdict(int)

    def add(self, target: Target, exchange: Exchange, slot: int) -> None:
        key = (target.name, target.version, exchange.route)
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        tally.outcomes[exchange.outcome] += 1
        tally.by[exchange.by] += 1
        tally.seconds[slot] += 1
        tally.seconds_sum += exchange.seconds
        queued = exchange.queued
        tally.queued[bisect_left(SECONDS, queued) if queued else 0] += 1
        tally.queued_sum += queued
        if exchange.outcome == "ok":
            tally.rows[bisect_left(ROWS, exchange.rows)] += 1
            tally.rows_sum += exchange.rows

    def without_model(self, route: str, outcome: str) -> None:
        """A request for a model that is not there, or refused before one was looked for."""
        self._unfound[route, outcome] += 1

    def batch(self, target: Target, requests: int, rows: int, waited: float) -> None:
        key = (target.name, target.version)
        batches = self._batches.get(key)
        if batches is None:
            batches = self._batches[key] = Batches()
        batches.requests[bisect_left(REQUESTS, requests)] += 1
        batches.requests_sum += requests
        batches.rows[bisect_left(ROWS, rows)] += 1
        batches.rows_sum += rows
        batches.waited[bisect_left(SECONDS, waited)] += 1
        batches.waited_sum += waited

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        tallies, batches = dict(self._tallies), dict(self._batches)
        yield self._requests(tallies)
        yield _chosen(tallies)
        route = ("model", "version", "route")
        yield _histogram(
            "slipway_serving_request_seconds",
            "From the whole body received to the answer written.",
            route,
            SECONDS,
            {key: (coarse(one.seconds), one.seconds_sum) for key, one in tallies.items()},
        )
        yield _histogram(
            "slipway_serving_queue_seconds",
            "How long a request of that waited for its turn; what is predicted at once does not.",
            route,
            SECONDS,
            {key: (list(one.queued), one.queued_sum) for key, one in tallies.items()},
        )
        yield _histogram(
            "slipway_serving_request_rows",
            "Predictions in one answer.",
            route,
            ROWS,
            {key: (list(one.rows), one.rows_sum) for key, one in tallies.items()},
        )
        for name, words, bounds, read in _BATCH_METRICS:
            values = {key: read(one) for key, one in batches.items()}
            yield _histogram(f"slipway_serving_batch_{name}", words, ("model", "version"), bounds, values)

    def _requests(self, tallies: dict[tuple[str, str, str], Tally]) -> Metric:
        family = CounterMetricFamily(
            "slipway_serving_requests",
            "Prediction requests; outcome is ok or the error's code.",
            labels=("model", "version", "route", "outcome"),
        )
        for key, tally in tallies.items():
            for outcome, count in dict(tally.outcomes).items():
                family.add_metric((*key, outcome), count)
        for (route, outcome), count in dict(self._unfound).items():
            family.add_metric(("", "", route, outcome), count)
        return family


Values = tuple[list[int], float]
_BATCH_METRICS: tuple[tuple[str, str, Sequence[float], Callable[[Batches], Values]], ...] = (
    (
        "requests",
        "Requests that were run together.",
        REQUESTS,
        lambda one: (list(one.requests), one.requests_sum),
    ),
    ("rows", "Rows that were run together.", ROWS, lambda one: (list(one.rows), one.rows_sum)),
    (
        "wait_seconds",
        "How long the first request of a batch waited for the model to be free.",
        SECONDS,
        lambda one: (list(one.waited), one.waited_sum),
    ),
)


def _chosen(tallies: dict[tuple[str, str, str], Tally]) -> Metric:
    counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)
    for (name, version, _), tally in tallies.items():
        for by, count in dict(tally.by).items():
            counts[name, version, by] += count
    family = CounterMetricFamily(
        "slipway_serving_chosen",
        "Prediction requests by how their version was chosen: production, canary, version or alias.",
        labels=("model", "version", "by"),
    )
    for key, count in counts.items():
        family.add_metric(key, count)
    return family


def coarse(fine: list[int]) -> list[int]:
    """Counts by FINE's bounds -> counts by SECONDS' bounds."""
    fine = list(fine)
    return [
        fine[0],
        *(sum(fine[start : start + _PARTS]) for start in range(1, len(FINE), _PARTS)),
        fine[-1],
    ]


def _histogram(
    name: str,
    words: str,
    labels: Sequence[str],
    bounds: Sequence[float],
    values: dict[tuple[str, ...], Values],
) -> Metric:
    family = HistogramMetricFamily(name, words, labels=labels)
    edges = [*map(floatToGoString, bounds), "+Inf"]
    for key, (counts, total) in values.items():
        buckets, so_far = [], 0
        for edge, count in zip(edges, counts, strict=True):
            so_far += count
            buckets.append((edge, so_far))
        family.add_metric(key, buckets, total)
    return family
