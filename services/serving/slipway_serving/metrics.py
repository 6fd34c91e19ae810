"""Prometheus metrics: what requests did, and what the shelf, the watcher and the database are like now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from .key_feed import FeedState
from .prediction_log import PredictionLog
from .shelf import Shelf
from .watcher import Look


@dataclass(frozen=True)
class Sources:
    """Where the state is read. stuck: calls that hang, by `NAME version VERSION`."""

    shelf: Shelf
    look: Callable[[], Look]
    database_ok: Callable[[], bool]
    pending: Callable[[], int]
    keys: Callable[[], FeedState]
    stuck: Callable[[], dict[str, int]] = dict
    prediction_log: PredictionLog | None = None


class Metrics:
    """Labels hold only names the registry gave, never what a caller wrote: the series stay bounded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.load_failures = Counter(
            "slipway_serving_load_failures_total",
            "Tries to load a version that failed.",
            ("model", "version"),
            registry=self.registry,
        )
        self.shadows = Counter(
            "slipway_serving_shadow_comparisons_total",
            "Requests copied to a shadow version; outcome is equal, different, failed or dropped.",
            ("model", "version", "shadow_version", "outcome"),
            registry=self.registry,
        )
        self.refused = Counter(
            "slipway_serving_refused_total",
            "Requests refused for who asked; reason is the error's code.",
            ("reason",),
            registry=self.registry,
        )

    def observe_state(self, sources: Sources) -> None:
        """Add what is read at each scrape."""
        self.registry.register(_State(sources))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _State:
    def __init__(self, sources: Sources):
        self._sources = sources

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from _models(self._sources.shelf)
        sources, keys = self._sources, self._sources.keys()
        yield _gauge("registry_up", "1 if the last look at MLflow was answered.", sources.look().reachable)
        yield _gauge("database_up", "1 if the visitors' database answered last.", sources.database_ok())
        yield _gauge(
            "keys_up",
            "1 if the door-keeper's list of keys was fetched last time: revocations are heard of.",
            keys.reachable,
        )
        yield _gauge("keys_known", "1 if keys can be checked at all.", keys.known)
        yield _gauge("pending_requests", "Requests being worked on or waiting.", sources.pending())
        stuck = GaugeMetricFamily(
            "slipway_serving_model_stuck_calls",
            "Calls of a version that have not come back within the time a request has.",
            labels=("model", "version"),
        )
        for where, calls in sources.stuck().items():
            name, _, version = where.rpartition(" version ")
            stuck.add_metric((name, version), calls)
        yield stuck
        if sources.prediction_log is not None:
            yield from _prediction_log(sources.prediction_log)


def _models(shelf: Shelf) -> Iterator[Metric]:
    labels = ("model", "version", "runtime")
    live = GaugeMetricFamily(
        "slipway_serving_model_live", "1 for the version in Production that answers.", labels=labels
    )
    loaded = GaugeMetricFamily(
        "slipway_serving_version_loaded", "1 for each version in memory.", labels=labels
    )
    prepared = GaugeMetricFamily(
        "slipway_serving_preparation_seconds",
        "What finding the runtime of a version took.",
        labels=("model", "version"),
    )
    behind = GaugeMetricFamily(
        "slipway_serving_model_behind",
        "1 while the version wanted by the registry is not the one that answers.",
        labels=("model",),
    )
    share = GaugeMetricFamily(
        "slipway_serving_traffic_percent",
        "The share of requests that the alias canary is sent, and that the alias shadow is sent copies of.",
        labels=("model", "alias"),
    )
    for name, slot in shelf.slots().items():
        if slot.live is not None:
            live.add_metric((name, slot.live.model.version, slot.live.model.runtime.name), 1)
        for placed in slot.loaded.values():
            model = placed.model
            loaded.add_metric((name, model.version, model.runtime.name), 1)
            if (seconds := (model.preparation or {}).get("seconds")) is not None:
                prepared.add_metric((name, model.version), seconds)
        behind.add_metric((name,), float(slot.state != "live"))
        share.add_metric((name, "canary"), slot.traffic.canary)
        share.add_metric((name, "shadow"), slot.traffic.shadow)
    yield from (live, loaded, prepared, behind, share)


def _prediction_log(log: PredictionLog) -> Iterator[Metric]:
    dropped = CounterMetricFamily(
        "slipway_serving_log_rows_dropped",
        "Rows that the log of predictions has not kept; reason is rate, full or unwritable.",
        labels=("reason",),
    )
    for reason, rows in log.dropped.copy().items():
        dropped.add_metric((reason,), rows)
    yield dropped
    written = CounterMetricFamily(
        "slipway_serving_log_rows_written", "Rows in files of the log of predictions."
    )
    written.add_metric((), log.written)
    yield written
    yield _gauge("log_rows_waiting", "Rows that are in no file yet.", log.waiting)
    yield _gauge("log_up", "1 unless the store of logged predictions refused last.", log.error is None)


def _gauge(name: str, words: str, value: object) -> Metric:
    return GaugeMetricFamily(f"slipway_serving_{name}", words, value=float(value or 0))  # type: ignore[arg-type]
