"""What is live now, per model: the one thing that rollouts write and requests read.

A slot is replaced as a whole, so a reader that has taken one sees one version from start to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from .errors import Refused
from .model import ServedModel
from .registry import Target


@dataclass(frozen=True)
class Placed:
    """A loaded version. since: ISO 8601, when it became live."""

    model: ServedModel
    since: str


@dataclass(frozen=True)
class Failure:
    """Why the wanted version is not live. next_try: ISO 8601."""

    version: str
    reason: str
    attempts: int
    next_try: str


@dataclass(frozen=True)
class Slot:
    wanted: Target
    live: Placed | None = None
    previous: Placed | None = None
    failure: Failure | None = None

    @property
    def state(self) -> str:
        """live: the wanted version answers; behind: an older one still does; loading or failed: none does."""
        if self.live is not None:
            return "live" if self.live.model.target == self.wanted else "behind"
        return "failed" if self.failure else "loading"


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _every(name: str) -> bool:
    return True


class Shelf:
    """Slots by model name."""

    def __init__(self, now: Callable[[], str] = now_text):
        self._slots: dict[str, Slot] = {}
        self._lock = threading.Lock()
        self._now = now

    def slots(self, shown: Callable[[str], bool] = _every) -> dict[str, Slot]:
        """A copy, by name."""
        with self._lock:
            return {name: slot for name, slot in sorted(self._slots.items()) if shown(name)}

    def slot(self, name: str) -> Slot | None:
        return self._slots.get(name)

    def want(self, target: Target) -> Slot:
        """The registry's Production is now this; what is live stays until `place`."""
        with self._lock:
            slot = self._slots.get(target.name)
            if slot is None:
                slot = Slot(wanted=target)
            elif slot.wanted != target:
                slot = replace(slot, wanted=target, failure=None)
            self._slots[target.name] = slot
            return slot

    def place(self, model: ServedModel, since: str | None = None) -> bool:
        """Make a loaded version live and keep the one before it; False if it is not wanted any more."""
        with self._lock:
            slot = self._slots.get(model.name)
            if slot is None or slot.wanted != model.target:
                return False
            if slot.live is not None and slot.live.model.target == model.target:
                return True
            previous = slot.live or slot.previous
            self._slots[model.name] = Slot(slot.wanted, Placed(model, since or self._now()), previous)
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
            if slot is not None and slot.wanted == target:
                self._slots[target.name] = replace(slot, failure=failure)

    def remove(self, name: str) -> None:
        with self._lock:
            self._slots.pop(name, None)

    def model(self, name: str, shown: Callable[[str], bool] = _every) -> ServedModel:
        """The live version; raises Refused where there is none, naming of the others those in `shown`."""
        slot = self._slots.get(name)
        if slot is None:
            raise Refused(
                "unknown_model", f"no model {name!r} is in Production; {self._served_text(shown)}", "name"
            )
        if slot.live is None:
            wanted = f"{name} version {slot.wanted.version}"
            if slot.failure:
                raise Refused(
                    "model_not_ready", f"{wanted} could not be loaded: {slot.failure.reason}", "name", 30
                )
            raise Refused("model_not_ready", f"{wanted} is being loaded", "name", 2)
        return slot.live.model

    def default_model(self, configured: str | None, shown: Callable[[str], bool] = _every) -> ServedModel:
        """The configured default, else the only model there is; raises Refused."""
        if configured is not None:
            return self.model(configured, shown)
        names = list(self._slots)
        if not names:
            raise Refused("no_model", "no model is in Production yet: roll one out first")
        if len(names) > 1:
            raise Refused(
                "ambiguous_model",
                f"several models are in Production and none is the default: POST to /models/NAME/predict,"
                f" NAME one of {', '.join(filter(shown, sorted(names)))}",
            )
        return self.model(names[0])

    def _served_text(self, shown: Callable[[str], bool]) -> str:
        names = sorted(filter(shown, self._slots))
        return f"served are: {', '.join(names)}" if names else "nothing is served yet"
