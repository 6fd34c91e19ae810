"""Keeps the shelf in step with the registry: looks every few seconds, starts rollouts, minds the cache.

Knows nothing of HTTP. The registry, the cache and the loading of a model are handed in.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import tenacity

from .cache import Kept, KeptModel, ModelCache
from .model import ServedModel
from .registry import ALIAS, Entry, Registry, RegistryUnreachable, Target
from .rollout import Rollout
from .shelf import Failure, Shelf, now_text

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """How the last look at the registry went. Times are ISO 8601."""

    reachable: bool | None = None
    error: str | None = None
    last_success: str | None = None


class Watcher:
    def __init__(
        self,
        registry: Registry,
        cache: ModelCache,
        load: Callable[[Path, Target], ServedModel],
        shelf: Shelf,
        poll_seconds: float = 2,
        wait: Callable[[tenacity.RetryCallState], float] | None = None,
        on_failure: Callable[[Target], None] = lambda target: None,
    ):
        """wait: the pause before a failed version is tried again; on_failure: told of each failed try."""
        self.look = Look()
        self._registry = registry
        self._cache = cache
        self._load = load
        self._shelf = shelf
        self._poll_seconds = poll_seconds
        self._wait = wait or tenacity.wait_exponential(multiplier=5, max=300)
        self._on_failure = on_failure
        self._rollouts: dict[str, Rollout] = {}
        # One at a time: two big models loading at once would need the memory of both beside what is live.
        self._loading = threading.Semaphore(1)
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._ready = False
        self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout: float = 5) -> None:
        """Look no more; a load that is under way is left to the end of the process."""
        self._stop.set()
        with self._lock:
            for rollout in self._rollouts.values():
                rollout.cancel()
        self._thread.join(timeout)

    @property
    def ready(self) -> bool:
        """True once something came back from the cache, or all the first look found is live or failed."""
        if not self._ready:
            settled = all(slot.live or slot.failure for slot in self._shelf.slots().values())
            self._ready = settled and self.look.last_success is not None
        return self._ready

    def restore(self) -> None:
        """Bring back from the cache what was live when the process ended; no registry is asked."""
        kept = self._cache.recall()
        for name, entry in kept.items():
            model = self._from_cache(entry.live.target)
            if model is not None:
                self._shelf.want(Entry(name, entry.live.target.born, {ALIAS: entry.live.target.version}))
                self._shelf.place(model, entry.live.since)
                log.info("restored from the cache", extra={"model": name, "version": model.version})
        self._ready = bool(self._shelf.slots())
        for entry in kept.values():
            if entry.previous is not None and (model := self._from_cache(entry.previous.target)):
                self._shelf.keep_previous(model, entry.previous.since)
        _freeze()

    def poll(self) -> None:
        """One look at the registry, and what follows from it."""
        try:
            wanted = self._registry.models()
        except RegistryUnreachable as error:
            if self.look.reachable is not False:
                log.warning(
                    "the registry does not answer, serving what is live", extra={"reason": str(error)}
                )
            self.look = replace(self.look, reachable=False, error=str(error))
            return
        with self._lock:
            for entry in wanted.values():
                self._follow(entry)
            for name in self._shelf.slots().keys() - wanted.keys():
                self._withdraw(name)
        if self.look.reachable is False:
            log.info("the registry answers again")
        self.look = Look(reachable=True, last_success=now_text())

    def _run(self) -> None:
        try:
            self.restore()
        except Exception:
            log.exception("could not restore from the cache")
        while not self._stop.is_set():
            try:
                self.poll()
            except Exception:
                # Whatever it was, the next look must happen: this thread is all that follows the registry.
                log.exception("a look at the registry failed")
            self._stop.wait(self._poll_seconds)

    def _follow(self, entry: Entry) -> None:
        slot, target = self._shelf.want(entry), entry.target(ALIAS)
        if target is None:
            return
        running = self._rollouts.get(target.name)
        if running is not None and running.target != target:
            running.cancel()
            del self._rollouts[target.name]
            running = None
        if slot.live is not None and slot.live.model.target == target:
            return
        if slot.previous is not None and slot.previous.model.target == target:
            self._promote(slot.previous.model)
        elif running is None:
            rollout = Rollout(target, self._prepare, self._promote, self._note_failure, self._wait)
            self._rollouts[target.name] = rollout
            rollout.start()

    def _withdraw(self, name: str) -> None:
        rollout = self._rollouts.pop(name, None)
        if rollout is not None:
            rollout.cancel()
        self._shelf.remove(name)
        log.info("no longer in Production, no longer served", extra={"model": name})
        self._write_down()

    def _prepare(self, target: Target) -> ServedModel:
        with self._loading:
            folder = self._cache.fetch(target, self._registry.download)
            try:
                return self._load(folder, target)
            except Exception:
                # Whether the version or only this copy is broken cannot be told: a fresh copy next time.
                self._cache.drop(target)
                raise

    def _promote(self, model: ServedModel) -> None:
        with self._lock:
            if not self._shelf.place(model):
                return
            self._rollouts.pop(model.name, None)
            log.info("live", extra={"model": model.name, "version": model.version})
            self._write_down()
        _freeze()

    def _note_failure(self, target: Target, reason: str, attempts: int, pause: float) -> None:
        next_try = (datetime.now(UTC) + timedelta(seconds=pause)).isoformat(timespec="seconds")
        self._shelf.fail(target, Failure(target.version, reason, attempts, next_try))
        self._on_failure(target)

    def _from_cache(self, target: Target) -> ServedModel | None:
        folder = self._cache.path(target)
        if not folder.is_dir():
            return None
        try:
            return self._load(folder, target)
        except Exception as error:
            log.warning(
                "a cached version does not load",
                extra={"model": target.name, "version": target.version, "reason": str(error)},
            )
            self._cache.drop(target)
            return None

    def _write_down(self) -> None:
        """The state file and the files on disk follow the shelf; a full disk must not stop serving."""
        state: dict[str, KeptModel] = {}
        keep = {rollout.target for rollout in self._rollouts.values()}
        for name, slot in self._shelf.slots().items():
            placed = [p for p in (slot.live, slot.previous) if p is not None]
            keep.update(p.model.target for p in placed)
            if slot.live is not None:
                state[name] = KeptModel(*(Kept(p.model.target, p.since) for p in placed))
        try:
            self._cache.remember(state)
            self._cache.prune(keep)
        except OSError:
            log.exception("the cache cannot be written")


def _freeze() -> None:
    """Take loaded models out of the garbage collector's rounds, and first what a replaced one left behind."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
