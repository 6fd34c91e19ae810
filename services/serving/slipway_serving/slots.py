"""What is loaded of one model and which aliases it answers for: values that are replaced, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from .model import ServedModel
from .registry import ALIAS, Target
from .traffic import CANARY, SHADOW, Traffic


@dataclass(frozen=True)
class Placed:
    """A loaded version. since: ISO 8601, when it became live."""

    model: ServedModel
    since: str


@dataclass(frozen=True)
class Failure:
    """Why a wanted version is not loaded. next_try: ISO 8601."""

    version: str
    reason: str
    attempts: int
    next_try: str


@dataclass(frozen=True)
class Choice:
    """Who answers a request. by: how it was found, `production`, `canary`, `version` or `alias`;
    shadow: the version that gets a copy of the request.
    """

    model: ServedModel
    by: str
    shadow: ServedModel | None = None


@dataclass(frozen=True)
class Named:
    """An alias other than Production's: the version it points at, and the one that answers for it."""

    wanted: Target
    placed: Placed | None = None
    failure: Failure | None = None

    @property
    def state(self) -> str:
        return _state(self.wanted, self.placed, self.failure)


@dataclass(frozen=True)
class Slot:
    """A model. wanted, live, previous, failure: of Production, None where it has none; others: by alias;
    tags: the registered model's.
    """

    wanted: Target | None = None
    live: Placed | None = None
    previous: Placed | None = None
    failure: Failure | None = None
    others: Mapping[str, Named] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """live: the wanted version answers; behind: an older one still does; loading or failed: none does.

        Without Production, the least that can be said of the other aliases.
        """
        if self.wanted is not None:
            return _state(self.wanted, self.live, self.failure)
        states = {one.state for one in self.others.values()}
        return next((state for state in ("failed", "loading", "behind") if state in states), "live")

    @property
    def settled(self) -> bool:
        """Nothing is still to come that was never tried."""
        parts = [(self.live, self.failure)] if self.wanted else []
        parts += [(one.placed, one.failure) for one in self.others.values()]
        return all(placed or failure for placed, failure in parts)

    @cached_property
    def loaded(self) -> dict[Target, Placed]:
        """All that is in memory."""
        placed = [self.previous, *(one.placed for one in self.others.values()), self.live]
        return {one.model.target: one for one in placed if one is not None}

    @cached_property
    def wanted_targets(self) -> list[Target]:
        """What aliases point at, the most important first."""
        order = sorted(self.others, key=lambda alias: (alias != CANARY, alias != SHADOW, alias))
        targets = [self.wanted] if self.wanted else []
        return list(dict.fromkeys([*targets, *(self.others[alias].wanted for alias in order)]))

    @cached_property
    def plain(self) -> Choice | None:
        """The choice for a request that names no version, where there is only one to choose."""
        if self.live is None or self.canary is not None or self.shadow is not None:
            return None
        return Choice(self.live.model, "production")

    @cached_property
    def canary(self) -> ServedModel | None:
        return self._beside(CANARY) if self.traffic.canary else None

    @cached_property
    def shadow(self) -> ServedModel | None:
        return self._beside(SHADOW) if self.traffic.shadow else None

    def aliased(self, version: str) -> Placed | None:
        """A version that answers for an alias: every replica has the same, unlike the previous one."""
        return next((p for p in self._answering() if p.model.version == version), None)

    def wants(self, version: str) -> tuple[Target, Failure | None] | None:
        """The version, if an alias points at it, and why it is not loaded."""
        parts = [(self.wanted, self.failure)] if self.wanted else []
        parts += [(one.wanted, one.failure) for one in self.others.values()]
        return next((part for part in parts if part[0].version == version), None)

    def answered(self, target: Target) -> bool:
        """Whether it answers for every alias that wants it."""
        parts = [(self.wanted, self.live), *((one.wanted, one.placed) for one in self.others.values())]
        mine = [placed for wanted, placed in parts if wanted == target]
        return all(placed is not None and placed.model.target == target for placed in mine)

    def with_others(self, change) -> Slot:
        """A copy in which `change` has been made to each alias but Production's."""
        return replace(self, others={alias: change(one) for alias, one in self.others.items()})

    def facts(self) -> dict[str, object]:
        """Aliases, loaded versions and traffic, as /models/{name} shows them."""
        aliases: dict[str, object] = {}
        if self.wanted:
            aliases[ALIAS] = _alias_facts(self.wanted, self.live, self.failure)
        for alias, one in sorted(self.others.items()):
            aliases[alias] = _alias_facts(one.wanted, one.placed, one.failure)
        traffic = self.traffic
        return {
            "aliases": aliases,
            "canary": {
                "percent": traffic.canary,
                "sticky": "caller" if traffic.by_caller else "request",
            },
            "shadow": {"percent": traffic.shadow},
            "remarks": list(traffic.remarks),
        }

    def _answering(self) -> list[Placed]:
        placed = [self.live, *(one.placed for one in self.others.values())]
        return [one for one in placed if one is not None]

    def _beside(self, alias: str) -> ServedModel | None:
        """The version of an alias, where it is another than the live one."""
        one = self.others.get(alias)
        if one is None or one.placed is None or self.live is None:
            return None
        model = one.placed.model
        return None if model.target == self.live.model.target else model


def _state(wanted: Target, placed: Placed | None, failure: Failure | None) -> str:
    if placed is not None:
        return "live" if placed.model.target == wanted else "behind"
    return "failed" if failure else "loading"


def _alias_facts(wanted: Target, placed: Placed | None, failure: Failure | None) -> dict[str, object]:
    return {
        "version": placed.model.version if placed else None,
        "wanted": wanted.version,
        "state": _state(wanted, placed, failure),
        "since": placed.since if placed else None,
        "runtime": placed.model.runtime.name if placed else None,
        "reason": failure.reason if failure else None,
    }
