"""Prometheus metrics: what requests did, and what the shelf, the watcher and the database are like now."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric

from .key_feed import FeedState
from .shelf import Shelf
from .watcher import Look


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

    def observe_state(
        self,
        shelf: Shelf,
        look: Callable[[], Look],
        database_ok: Callable[[], bool],
        pending: Callable[[], int],
        keys: Callable[[], FeedState],
    ) -> None:
        """Add what is read at each scrape."""
        self.registry.register(_State(shelf, look, database_ok, pending, keys))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _State:
    def __init__(
        self,
        shelf: Shelf,
        look: Callable[[], Look],
        database_ok: Callable[[], bool],
        pending: Callable[[], int],
        keys: Callable[[], FeedState],
    ):
        self._shelf = shelf
        self._look = look
        self._database_ok = database_ok
        self._pending = pending
        self._keys = keys

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        live = GaugeMetricFamily(
            "slipway_serving_model_live",
            "1 for the version that answers.",
            labels=("model", "version", "runtime"),
        )
        behind = GaugeMetricFamily(
            "slipway_serving_model_behind",
            "1 while the version wanted by the registry is not the one that answers.",
            labels=("model",),
        )
        for name, slot in self._shelf.slots().items():
            if slot.live is not None:
                live.add_metric((name, slot.live.model.version, slot.live.model.runtime.name), 1)
            behind.add_metric((name,), float(slot.state != "live"))
        yield live
        yield behind
        yield GaugeMetricFamily(
            "slipway_serving_registry_up",
            "1 if the last look at MLflow was answered.",
            value=float(bool(self._look().reachable)),
        )
        yield GaugeMetricFamily(
            "slipway_serving_database_up",
            "1 if the visitors' database answered last.",
            value=float(self._database_ok()),
        )
        keys = self._keys()
        yield GaugeMetricFamily(
            "slipway_serving_keys_up",
            "1 if the door-keeper's list of keys was fetched last time: revocations are heard of.",
            value=float(bool(keys.reachable)),
        )
        yield GaugeMetricFamily(
            "slipway_serving_keys_known", "1 if keys can be checked at all.", value=float(keys.known)
        )
        yield GaugeMetricFamily(
            "slipway_serving_pending_requests",
            "Requests being worked on or waiting.",
            value=float(self._pending()),
        )
