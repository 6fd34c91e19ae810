"""What is loaded now, per model: the one thing that rollouts write and requests read.

A slot is replaced as a whole, so a reader that has taken one sees one version from start to end.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from .errors import Refused
from .model import ServedModel
from .registry import ALIAS, Entry, Target
from .slots import Choice, Failure, Named, Placed, Slot
from .traffic import place_of, read_traffic

__all__ = ["Choice", "Failure", "Named", "Placed", "Shelf", "Slot", "now_text"]


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _every(name: str) -> bool:
    return True


class Shelf:
    """Slots by model name."""

    def __init__(self, now: Callable[[], str] = now_text, chance: Callable[[], float] = random.random):
        """chance: a number from 0 to 1 by which a request that sticks to nothing is sent somewhere."""
        self._slots: dict[str, Slot] = {}
        self._lock = threading.Lock()
        self._now = now
        self._chance = chance

    def slots(self, shown: Callable[[str], bool] = _every) -> dict[str, Slot]:
        """A copy, by name."""
        with self._lock:
            return {name: slot for name, slot in sorted(self._slots.items()) if shown(name)}

    def slot(self, name: str) -> Slot | None:
        return self._slots.get(name)

    def want(self, entry: Entry) -> Slot:
        """The registry's aliases and tags are now these; what answers stays until `place`."""
        with self._lock:
            slot = self._slots.get(entry.name, Slot())
            wanted = entry.target(ALIAS)
            if wanted != slot.wanted:
                slot = replace(slot, wanted=wanted, failure=None)
            if wanted is None:
                slot = replace(slot, live=None, previous=None)
            others = {}
            for alias in entry.aliases.keys() - {ALIAS}:
                target, named = entry.target(alias), slot.others.get(alias)
                others[alias] = named if named and named.wanted == target else _moved(named, target)
            traffic = read_traffic(entry.aliases, entry.tags)
            slot = replace(slot, others=others, traffic=traffic, tags=dict(entry.tags))
            self._slots[entry.name] = slot
            return slot

    def place(self, model: ServedModel, since: str | None = None) -> bool:
        """Let a loaded version answer for the aliases that want it; False if none wants it any more.

        The version that was live before it stays in memory. The same version, prepared, takes its own place.
        """
        with self._lock:
            slot = self._slots.get(model.name)
            if slot is None or model.target not in {*slot.wanted_targets, *slot.loaded}:
                return False
            self._slots[model.name] = self._placed(slot, model, since or self._now())
            return True

    def keep_previous(self, model: ServedModel, since: str) -> None:
        """Put the version before the live one beside it, after a restart."""
        with self._lock:
            slot = self._slots.get(model.name)
            if slot is None or slot.live is None or slot.previous is not None:
                return
            if slot.live.model.target != model.target:
                self._slots[model.name] = replace(slot, previous=Placed(model, since))

    def fail(self, target: Target, failure: Failure) -> None:
        with self._lock:
            slot = self._slots.get(target.name)
            if slot is None:
                return
            if slot.wanted == target:
                slot = replace(slot, failure=failure)
            self._slots[target.name] = slot.with_others(
                lambda one: replace(one, failure=failure) if one.wanted == target else one
            )

    def remove(self, name: str) -> None:
        with self._lock:
            self._slots.pop(name, None)

    def choose(
        self,
        name: str | None,
        *,
        default: str | None = None,
        shown: Callable[[str], bool] = _every,
        version: str | None = None,
        alias: str | None = None,
        sticky: bytes | None = None,
        caller: str = "",
    ) -> Choice:
        """Who answers a request; raises Refused, naming of the other models those in `shown`.

        name: None for the default model. sticky: what the request itself names to stick to, always followed;
        caller: who asks, followed where the model's tags say so.
        """
        name = self._default(default, shown) if name is None else name
        slot = self._slots.get(name)
        if slot is None:
            raise Refused("unknown_model", f"no model {name!r} is served; {self._served_text(shown)}", "name")
        if version is not None:
            return Choice(_pinned(name, slot, version), "version")
        if alias is not None:
            return Choice(_by_alias(name, slot, alias), "alias")
        return slot.plain or self._shared_out(name, slot, sticky, caller)

    def model(self, name: str, shown: Callable[[str], bool] = _every) -> ServedModel:
        """The version in Production; raises Refused where there is none."""
        slot = self._slots.get(name)
        if slot is None:
            raise Refused("unknown_model", f"no model {name!r} is served; {self._served_text(shown)}", "name")
        return _live(name, slot)

    def default_model(self, configured: str | None, shown: Callable[[str], bool] = _every) -> ServedModel:
        """The configured default, else the only model in Production; raises Refused."""
        return self.model(self._default(configured, shown), shown)

    def _default(self, configured: str | None, shown: Callable[[str], bool]) -> str:
        if configured is not None:
            return configured
        names = [name for name, slot in list(self._slots.items()) if slot.wanted is not None]
        if not names:
            raise Refused("no_model", "no model is in Production yet: roll one out first")
        if len(names) > 1:
            raise Refused(
                "ambiguous_model",
                f"several models are in Production and none is the default: POST to /models/NAME/predict,"
                f" NAME one of {', '.join(filter(shown, sorted(names)))}",
            )
        return names[0]

    def _shared_out(self, name: str, slot: Slot, sticky: bytes | None, caller: str) -> Choice:
        live, traffic = _live(name, slot), slot.traffic
        if slot.canary is not None:
            if sticky is None and traffic.by_caller:
                sticky = caller.encode()
            place = self._chance() * 100 if sticky is None else place_of(name, sticky)
            if place < traffic.canary:
                return Choice(slot.canary, "canary")
        shadow = slot.shadow
        if shadow is not None and traffic.shadow < 100 and self._chance() * 100 >= traffic.shadow:
            shadow = None
        return Choice(live, "production", shadow)

    def _placed(self, slot: Slot, model: ServedModel, since: str) -> Slot:
        target = model.target
        known = slot.loaded.get(target)
        placed = Placed(model, known.since if known else since)
        live, previous = slot.live, slot.previous
        if slot.wanted == target or (live is not None and live.model.target == target):
            if live is None or live.model.target != target:
                # Live anew, whatever it did before; the one it replaces becomes the previous one.
                previous, placed = live or previous, Placed(model, since)
            live = placed
        elif previous is not None and previous.model.target == target:
            previous = placed
        if previous is not None and live is not None and previous.model.target == live.model.target:
            previous = None
        failure = None if slot.wanted == target else slot.failure
        slot = replace(slot, live=live, previous=previous, failure=failure)

        def change(one: Named) -> Named:
            if one.wanted == target:
                return Named(one.wanted, placed)
            mine = one.placed is not None and one.placed.model.target == target
            return replace(one, placed=placed) if mine else one

        return slot.with_others(change)

    def _served_text(self, shown: Callable[[str], bool]) -> str:
        names = sorted(filter(shown, self._slots))
        return f"served are: {', '.join(names)}" if names else "nothing is served yet"


def _moved(named: Named | None, target: Target) -> Named:
    return Named(target, named.placed if named else None)


def _live(name: str, slot: Slot) -> ServedModel:
    if slot.live is not None:
        return slot.live.model
    if slot.wanted is None:
        aliases = ", ".join(sorted(slot.others))
        raise Refused(
            "unknown_model",
            f"no version of {name!r} is in Production: ask for one by its alias ({aliases})"
            f" at /models/{name}/aliases/ALIAS/predict",
            "name",
        )
    raise _not_ready(slot.wanted, slot.failure, "name")


def _pinned(name: str, slot: Slot, version: str) -> ServedModel:
    placed = slot.aliased(version)
    if placed is not None:
        return placed.model
    if (wanted := slot.wants(version)) is not None:
        raise _not_ready(*wanted, "version")
    found = sorted({target.version for target in slot.wanted_targets}, key=lambda text: (len(text), text))
    raise Refused(
        "unknown_version",
        f"version {version!r} of {name!r} is not served: give it an alias in the registry"
        f" (versions with one: {', '.join(found)})",
        "version",
    )


def _by_alias(name: str, slot: Slot, alias: str) -> ServedModel:
    if alias == ALIAS:
        return _live(name, slot)
    named = slot.others.get(alias)
    if named is None:
        found = sorted([*slot.others, *([ALIAS] if slot.wanted else [])])
        raise Refused(
            "unknown_version",
            f"no version of {name!r} has the alias {alias!r}: set it in the registry"
            f" (there are: {', '.join(found)})",
            "alias",
        )
    if named.placed is None:
        raise _not_ready(named.wanted, named.failure, "alias")
    return named.placed.model


def _not_ready(target: Target, failure: Failure | None, field: str) -> Refused:
    wanted = f"{target.name} version {target.version}"
    if failure is not None:
        return Refused("model_not_ready", f"{wanted} could not be loaded: {failure.reason}", field, 30)
    return Refused("model_not_ready", f"{wanted} is being loaded", field, 2)
