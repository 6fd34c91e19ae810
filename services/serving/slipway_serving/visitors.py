"""How often each version answered, and whom: counted here, kept in a database. No HTTP, no SQL.

Each process counts under a source of its own, whose counts only grow. The database holds the latest of every
source and is told absolute numbers, so that telling it twice changes nothing: a flush whose answer got lost
is simply repeated. The journal holds them too, on disk, where a process that is killed leaves them; the next
one goes on counting under the same source.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from .errors import first_line
from .identity import Caller
from .visitors_journal import Journal, Journals

log = logging.getLogger(__name__)

Key = tuple[str, str, str, str]
"""(model, version, the caller's kind, the caller's name); the last two are empty for those of older releases,
which did not tell callers apart."""
NOT_ASKED = "not asked yet"


class Store(Protocol):
    def save(self, source: str, counts: dict[Key, int]) -> None:
        """The source has counted so many, in all; all or nothing. A smaller number changes nothing."""

    def others(self, source: str) -> dict[Key, int]:
        """What all other sources have counted."""


class Visitors:
    """Counted in the event loop's thread, flushed in another one, without a lock between them."""

    def __init__(self, store: Store, journals: Journals | None = None):
        self._store, self._journals = store, journals
        self._journal = journals.mine() if journals else Journal.in_memory()
        self._counts: dict[Key, int] = dict(self._journal.counts)
        self._saved: dict[Key, int] = {}
        self._others: dict[Key, int] = {}
        self._flushing = threading.Lock()
        self.store_error: str | None = NOT_ASKED

    def count(self, model: str, version: str, caller: Caller) -> None:
        key = (model, version, caller.kind, caller.name)
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        self._journal.write(key, count)

    def flush(self) -> bool:
        """Save what is new and read what others have counted; False where the store did not answer."""
        with self._flushing:
            counts = dict(self._counts)
            new = {key: count for key, count in counts.items() if self._saved.get(key) != count}
            source = self._journal.source
            try:
                if new:
                    self._journal.sync()
                    self._store.save(source, new)
                    self._saved = counts
                if self._journals:
                    self._journals.hand_in_orphans(self._store.save)
                self._others = self._store.others(source)
            except Exception as error:  # drivers have errors of their own, and none may stop the counting
                reason = str(error).splitlines()[0] if str(error) else first_line(error)
                if self.store_error in (None, NOT_ASKED):
                    log.warning("the visitors' database does not answer", extra={"reason": reason})
                self.store_error = reason
                return False
            if self.store_error not in (None, NOT_ASKED):
                log.info("the visitors' database answers again")
            self.store_error = None
            return True

    def close(self) -> None:
        self._journal.close()

    def report(self, shown: Callable[[str], bool] = lambda model: True) -> dict[str, Any]:
        """{"models": {name: {"total", "versions": {version: n}, "callers": [{"kind", "name", "total",
        "versions"}]}}, "total": n, "unsaved": n}; unsaved: of this process, not in the database yet.
        """
        own, saved = dict(self._counts), self._saved
        counts: defaultdict[Key, int] = defaultdict(int)
        for key, count in (*own.items(), *self._others.items()):
            if shown(key[0]):
                counts[key] += count
        unsaved = sum(n - saved.get(key, 0) for key, n in own.items() if shown(key[0]))
        by_model: defaultdict[str, list[tuple[Key, int]]] = defaultdict(list)
        for key, count in sorted(counts.items()):
            by_model[key[0]].append((key, count))
        models = {model: _report_model(rows) for model, rows in by_model.items()}
        return {"models": models, "total": sum(counts.values()), "unsaved": unsaved}

    def report_for(self, caller: Caller) -> dict[str, Any]:
        """What the caller may know: its own models, and of other callers only if it is a person."""
        report = self.report(caller.may_use)
        if caller.kind != "person":
            for model in report["models"].values():
                model["callers"] = [
                    one
                    for one in model["callers"]
                    if (one["kind"], one["name"]) == (caller.kind, caller.name)
                ]
        return report


def _report_model(rows: Iterable[tuple[Key, int]]) -> dict[str, Any]:
    versions: dict[str, int] = {}
    callers: dict[tuple[str, str], dict[str, Any]] = {}
    for (_, version, kind, name), count in rows:
        versions[version] = versions.get(version, 0) + count
        caller = callers.setdefault(
            (kind, name), {"kind": kind or None, "name": name or None, "total": 0, "versions": {}}
        )
        caller["total"] += count
        caller["versions"][version] = count
    busiest = sorted(callers.values(), key=lambda one: -one["total"])
    return {"total": sum(versions.values()), "versions": versions, "callers": busiest}


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
