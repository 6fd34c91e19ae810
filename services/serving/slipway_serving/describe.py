"""What is live, as the objects that /models and /ready show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .identity import Caller
from .key_feed import KeyFeed
from .registry import ALIAS
from .shelf import Shelf, Slot
from .visitors import Visitors
from .watcher import Watcher


def describe_model(name: str, slot: Slot, stuck: Mapping[str, int] | None = None) -> dict[str, Any]:
    """One model: the live version's facts, all that is loaded, and why a wanted version is not.

    stuck: calls that hang, by `NAME version VERSION`.
    """
    live = slot.live
    model = live.model if live else None
    return {
        "name": name,
        "version": model.version if model else None,
        "alias": ALIAS,
        "state": slot.state,
        "wanted": slot.wanted.version if slot.wanted else None,
        "since": live.since if live else None,
        "runtime": model.runtime.name if model else None,
        "flavor": model.flavor if model else None,
        "preparation": model.preparation if model else None,
        "run_id": model.run_id if model else None,
        "signature": model.signature if model else None,
        "previous": {"version": slot.previous.model.version, "since": slot.previous.since}
        if slot.previous
        else None,
        "failure": asdict(slot.failure) if slot.failure else None,
        **slot.facts(),
        "versions": _versions(name, slot, stuck or {}),
    }


def _versions(name: str, slot: Slot, stuck: Mapping[str, int]) -> list[dict[str, Any]]:
    """Every version in memory, the newest first, and the aliases it answers for."""
    answering = {alias: one.placed for alias, one in slot.others.items()}
    if slot.wanted is not None:
        answering[ALIAS] = slot.live
    found = [
        {
            "version": target.version,
            "since": placed.since,
            "runtime": placed.model.runtime.name,
            "aliases": sorted(
                alias for alias, one in answering.items() if one and one.model.target == target
            ),
            "previous": slot.previous is not None and slot.previous.model.target == target,
            "stuck_calls": stuck.get(f"{name} version {target.version}", 0),
        }
        for target, placed in slot.loaded.items()
    ]
    return sorted(found, key=lambda one: (len(one["version"]), one["version"]), reverse=True)


def describe_readiness(
    watcher: Watcher,
    shelf: Shelf,
    visitors: Visitors,
    key_feed: KeyFeed,
    caller: Caller | None,
    stuck: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Ready or not, and what is not as it should be, whether or not it matters for being ready.

    An unknown caller learns what is up, but no model's name and no reason, which can name insides.
    """
    state: dict[str, Any] = {
        "status": "ready" if watcher.ready else "starting",
        "registry": asdict(watcher.look),
        "database": {"reachable": visitors.store_error is None, "error": visitors.store_error},
        "keys": asdict(key_feed.state),
    }
    if caller is None:
        for part in ("registry", "database", "keys"):
            del state[part]["error"]
        return state
    return {**state, "models": _model_states(shelf, caller, stuck or {})}


def _model_states(shelf: Shelf, caller: Caller, stuck: Mapping[str, int]) -> dict[str, Any]:
    return {
        name: {
            "state": slot.state,
            "version": slot.live.model.version if slot.live else None,
            "wanted": slot.wanted.version if slot.wanted else None,
            "reason": slot.failure.reason if slot.failure else None,
            "stuck_calls": sum(stuck.get(f"{name} version {target.version}", 0) for target in slot.loaded),
        }
        for name, slot in shelf.slots(caller.may_use).items()
    }
