"""From the shelf to the cache's state file and back: what a new process starts with, no registry asked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from .cache import Kept, KeptModel, ModelCache
from .errors import first_line
from .model import ServedModel
from .registry import ALIAS, Entry, Target
from .shelf import Shelf
from .slots import Placed, Slot

log = logging.getLogger(__name__)

Recall = Callable[[Target, dict[str, str]], ServedModel | None]
"""A version from the cache alone, with its tags; None where it cannot be had."""


class Keeper:
    def __init__(self, cache: ModelCache, shelf: Shelf):
        self._cache, self._shelf = cache, shelf
        self._written: dict[str, KeptModel] | None = None
        self._failing = False

    def restore(self, recall: Recall) -> Iterable[bool]:
        """Put back what the state file names: first what answers, then, after a yield, what was before."""
        noted = self._cache.recall()
        kept = {name: entry for name, entry in noted.items() if self._back(name, entry, recall)}
        yield bool(kept)
        for entry in kept.values():
            previous = entry.previous
            if previous is not None and (model := recall(previous.target, previous.tags)) is not None:
                self._shelf.keep_previous(model, previous.since)

    def write_down(self, also: Iterable[Target]) -> None:
        """The state file and the files on disk follow the shelf; a full disk must not stop serving.

        also: versions that are on their way, whose files stay.
        """
        slots = self._shelf.slots()
        state = {name: entry for name, slot in slots.items() if (entry := _entry(slot)) is not None}
        if state == self._written:
            return
        keep = {*also, *(target for slot in slots.values() for target in slot.loaded)}
        try:
            try:
                self._cache.remember(state)
                self._written, self._failing = state, False
            finally:
                # Even so: what goes may be what a full disk lacks.
                self._cache.prune(keep)
        except OSError as error:
            if not self._failing:
                log.error("the cache cannot be written", extra={"reason": first_line(error)})
            self._failing = True

    def _back(self, name: str, entry: KeptModel, recall: Recall) -> bool:
        aliased = {**({ALIAS: entry.live} if entry.live else {}), **entry.others}
        models = {one.target: recall(one.target, one.tags) for one in aliased.values()}
        found = {alias: one for alias, one in aliased.items() if models[one.target] is not None}
        if not found:
            return False
        born = next(iter(found.values())).target.born
        versions = {alias: one.target.version for alias, one in found.items()}
        self._shelf.want(Entry(name, born, versions, entry.tags))
        for one in found.values():
            self._shelf.place(models[one.target], one.since)  # type: ignore[arg-type]
        log.info("restored from the cache", extra={"model": name, "versions": versions})
        return True


def _entry(slot: Slot) -> KeptModel | None:
    others = {alias: _kept(one.placed) for alias, one in slot.others.items() if one.placed}
    if slot.live is None and not others:
        return None
    live = _kept(slot.live) if slot.live else None
    previous = _kept(slot.previous) if slot.previous else None
    return KeptModel(live, previous, others, dict(slot.tags))


def _kept(placed: Placed) -> Kept:
    return Kept(placed.model.target, placed.since, dict(placed.model.tags))
