"""Keeps the shelf in step with the registry: looks every few seconds, starts rollouts, minds the cache.

Knows nothing of HTTP. The registry, the cache and the making of a model are handed in.
"""

from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import tenacity

from . import memory
from .cache import ModelCache
from .errors import first_line
from .keeping import Keeper
from .model import ServedModel, settled
from .registry import Entry, Registry, RegistryUnreachable, Target
from .rollout import Rollout
from .shelf import Failure, Shelf, Slot, now_text
from .traffic import RUNTIME_TAG

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    """How the last look at the registry went. Times are ISO 8601."""

    reachable: bool | None = None
    error: str | None = None
    last_success: str | None = None


class Maker(Protocol):
    """Who makes models of versions: `workshop.Workshop`."""

    def bring(self, target: Target, rank: int = 0) -> ServedModel: ...

    def recall(self, target: Target, tags: dict[str, str]) -> ServedModel | None: ...

    def quick(self, model: ServedModel) -> ServedModel: ...

    def prepare(self, model: ServedModel) -> ServedModel: ...

    def close(self) -> None: ...


class Watcher:
    def __init__(
        self,
        registry: Registry,
        cache: ModelCache,
        maker: Maker,
        shelf: Shelf,
        poll_seconds: float = 2,
        wait: Callable[[tenacity.RetryCallState], float] | None = None,
        on_failure: Callable[[Target], None] = lambda target: None,
        max_versions: int = 5,
    ):
        """wait: the pause before a failed version is tried again; on_failure: told of each failed try;
        max_versions: that are loaded of one model, besides the one that was live before.
        """
        self.look = Look()
        self._registry, self._maker, self._shelf = registry, maker, shelf
        self._keeper = Keeper(cache, shelf)
        self._poll_seconds = poll_seconds
        self._wait = wait or tenacity.wait_exponential(multiplier=5, max=300)
        self._on_failure = on_failure
        self._max_versions = max_versions
        self._rollouts: dict[Target, Rollout] = {}
        self._repinning: set[Target] = set()
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
        self._maker.close()
        self._thread.join(timeout)

    @property
    def ready(self) -> bool:
        """True once something came back from the cache, or all the first look found is live or failed."""
        if not self._ready:
            settled = all(slot.settled for slot in self._shelf.slots().values())
            self._ready = settled and self.look.last_success is not None
        return self._ready

    def restore(self) -> None:
        """Bring back from the cache what was live when the process ended; no registry is asked."""
        for ready in self._keeper.restore(self._maker.recall):
            self._ready = ready
        _freeze()
        for slot in self._shelf.slots().values():
            for placed in slot.loaded.values():
                self._improve_later(placed.model)

    def poll(self) -> None:
        """One look at the registry, and what follows from it."""
        try:
            found = self._registry.models()
            pins = self._registry.pins(RUNTIME_TAG)
        except RegistryUnreachable as error:
            if self.look.reachable is not False:
                log.warning(
                    "the registry does not answer, serving what is live", extra={"reason": str(error)}
                )
            self.look = replace(self.look, reachable=False, error=str(error))
            return
        with self._lock:
            for entry in found.values():
                self._follow(entry)
            for name in self._shelf.slots().keys() - found.keys():
                self._withdraw(name)
            for target in [t for t in self._rollouts if t.name not in found]:
                self._cancel(target)
            if pins is not None:
                self._follow_pins(pins)
            self._write_down()
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
        slot = self._shelf.want(entry)
        wanted = slot.wanted_targets
        for target in [t for t in self._rollouts if t.name == entry.name and t not in wanted]:
            self._cancel(target)
        for rank, target in enumerate(wanted):
            placed = slot.loaded.get(target)
            if placed is not None:
                if not slot.answered(target):
                    self._promote(placed.model)
            elif rank >= self._max_versions:
                self._leave_out(target, slot)
            elif target not in self._rollouts:
                rollout = Rollout(
                    target, partial(self._make, rank=rank), self._promote, self._note_failure, self._wait
                )
                self._rollouts[target] = rollout
                rollout.start()

    def _make(self, target: Target, rank: int) -> ServedModel:
        """Where nothing answers yet, live as soon as it does; else once it is as fast as it can be."""
        model = self._maker.bring(target, rank)
        if self._replaces_something(target):
            return self._maker.prepare(model)
        return self._maker.quick(model)

    def _replaces_something(self, target: Target) -> bool:
        slot = self._shelf.slot(target.name) or Slot()
        if slot.wanted == target:
            return slot.live is not None
        return any(one.placed is not None for one in slot.others.values() if one.wanted == target)

    def _cancel(self, target: Target) -> None:
        self._rollouts.pop(target).cancel()

    def _withdraw(self, name: str) -> None:
        self._shelf.remove(name)
        log.info("no alias any more, no longer served", extra={"model": name})

    def _leave_out(self, target: Target, slot: Slot) -> None:
        _, failure = slot.wants(target.version) or (target, None)
        if failure is None:
            reason = (
                f"{self._max_versions} versions of it are loaded already (SERVING_MAX_VERSIONS):"
                " take an alias away or raise that"
            )
            log.error("a version is not loaded", extra={**_named(target), "reason": reason})
            self._shelf.fail(target, Failure(target.version, reason, 0, now_text()))

    def _promote(self, model: ServedModel) -> None:
        with self._lock:
            if not self._shelf.place(model):
                return
            slot = self._shelf.slot(model.name)
            live = slot is not None and slot.wanted == model.target
            log.info("live" if live else "loaded for an alias", extra=_named(model.target))
            if self._rollouts.pop(model.target, None) is None:
                return  # it was in memory
            self._write_down()
        _freeze()
        self._improve_later(model)

    def _improve_later(self, model: ServedModel) -> None:
        """Look for the fastest runtime of a version that is live already, unless that is known."""
        if model.loaded is not None:
            threading.Thread(
                target=self._improve, args=(model,), name=f"improve-{model.name}", daemon=True
            ).start()

    def _improve(self, model: ServedModel) -> None:
        try:
            prepared = settled(self._maker.prepare(model))
        except Exception:
            log.exception("a preparation failed", extra=_named(model.target))
            return
        with self._lock:
            slot = self._shelf.slot(model.name)
            placed = slot.loaded.get(model.target) if slot else None
            if placed is None or placed.model is not model or self._stop.is_set():
                return
            self._shelf.place(prepared)
        _freeze()

    def _follow_pins(self, pins: dict[tuple[str, str], str]) -> None:
        """A version whose pinned runtime has changed is loaded anew beside itself."""
        for slot in self._shelf.slots().values():
            for target, placed in slot.loaded.items():
                pin = pins.get((target.name, target.version)) or None
                if pin != placed.model.pin and target not in self._repinning:
                    self._repinning.add(target)
                    threading.Thread(
                        target=self._repin, args=(target,), name=f"pin-{target.name}", daemon=True
                    ).start()

    def _repin(self, target: Target) -> None:
        try:
            model = self._maker.prepare(self._maker.bring(target))
            self._shelf.place(model)
            log.info("pinned anew", extra={**_named(target), "runtime": model.runtime.name})
        except Exception as error:
            log.error("a pin is not followed", extra={**_named(target), "reason": first_line(error)})
        finally:
            self._repinning.discard(target)

    def _note_failure(self, target: Target, reason: str, attempts: int, pause: float) -> None:
        next_try = (datetime.now(UTC) + timedelta(seconds=pause)).isoformat(timespec="seconds")
        self._shelf.fail(target, Failure(target.version, reason, attempts, next_try))
        self._on_failure(target)

    def _write_down(self) -> None:
        self._keeper.write_down({*self._rollouts, *self._repinning})


def _named(target: Target) -> dict[str, str]:
    return {"model": target.name, "version": target.version}


_LOADS_BETWEEN_ROUNDS = 8
_loads = itertools.count()


def _freeze() -> None:
    """Take loaded models out of the garbage collector's rounds, which hold everything up.

    A whole round, for what a replaced version may have left in circles, takes 0.15 s: only now and then.
    """
    whole = next(_loads) % _LOADS_BETWEEN_ROUNDS == 0
    if whole:
        gc.unfreeze()
    gc.collect()
    gc.freeze()
    memory.give_back()
