"""How often each version answered: counted in memory, added to a store every few seconds. No HTTP, no SQL.

A store that does not answer loses nothing: what could not be added is added later. A process that is killed
loses at most what it counted since its last flush.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from .identity import Caller

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""(model, version)"""


class Store(Protocol):
    def add(self, increments: dict[Key, int]) -> None:
        """Add to what is stored, all or nothing."""

    def totals(self) -> dict[Key, int]:
        """What is stored, of all replicas."""


class Visitors:
    """Safe to use from any thread."""

    def __init__(self, store: Store):
        self._store = store
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._new: Counter[Key] = Counter()
        self._stored: dict[Key, int] = {}
        self.store_error: str | None = "not asked yet"

    def count(self, model: str, version: str, caller: Caller) -> None:
        with self._lock:
            self._new[model, version] += 1

    def flush(self) -> bool:
        """Add what is new to the store and read its totals; False where it did not answer."""
        with self._flushing:
            with self._lock:
                batch = dict(self._new)
            try:
                if batch:
                    self._store.add(batch)
                    with self._lock:
                        self._new.subtract(batch)
                        self._new += Counter()  # drops the zeros
                        for key, count in batch.items():
                            self._stored[key] = self._stored.get(key, 0) + count
                totals = self._store.totals()
            except Exception as error:  # drivers have errors of their own, and none may stop the counting
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                if self.store_error is None or self.store_error == "not asked yet":
                    log.warning("the visitors' database does not answer", extra={"reason": reason})
                self.store_error = reason
                return False
            with self._lock:
                self._stored = totals
            if self.store_error not in (None, "not asked yet"):
                log.info("the visitors' database answers again")
            self.store_error = None
            return True

    def report(self, shown: Callable[[str], bool] = lambda model: True) -> dict[str, Any]:
        """{"models": {name: {"total": n, "versions": {version: n}}}, "total": n, "unsaved": n}"""
        with self._lock:
            counts = {key: n for key, n in (Counter(self._stored) + self._new).items() if shown(key[0])}
            unsaved = sum(n for (model, _), n in self._new.items() if shown(model))
        models: dict[str, Any] = {}
        for (model, version), count in sorted(counts.items()):
            entry = models.setdefault(model, {"total": 0, "versions": {}})
            entry["total"] += count
            entry["versions"][version] = count
        return {"models": models, "total": sum(counts.values()), "unsaved": unsaved}


class Flusher:
    """Flushes every `seconds` in a thread, and a last time when stopped."""

    def __init__(self, visitors: Visitors, seconds: float):
        self._visitors = visitors
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="visitors", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 10) -> None:
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            stopping = self._stop.is_set()
            self._visitors.flush()
            if stopping:
                return
            self._stop.wait(self._seconds)
