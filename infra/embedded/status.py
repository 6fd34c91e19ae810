"""`./slipway status` without Docker: how each service and each user's server is, and what memory it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from infra.embedded import leftovers, services, supervisor
from infra.embedded.instance import Instance, instance_of
from infra.embedded.supervisor import Child
from infra.embedded.up import states_of
from infra.launcher import settings
from infra.launcher.problem import FAILED as EXIT_FAILED
from infra.launcher.progress import Screen
from infra.launcher.services import WELL, State, all_well
from infra.launcher.status import print_json, show


def run(as_json: bool, screen: Screen) -> int:
    """0 only if all is well."""
    instance = instance_of(settings.load().project)
    states, rows, others = look(instance)
    well = bool(states) and all_well(states)
    if as_json:
        print_json(instance.project, well, rows, others)
    elif not supervisor.pid(instance):
        screen.say(f"{instance.project} does not run; `./slipway up` starts it.")
    else:
        show(instance.project, rows, others, states, screen, last="pid")
    return 0 if well else EXIT_FAILED


def look(instance: Instance) -> tuple[list[State], list[dict[str, Any]], list[dict[str, Any]]]:
    """States and rows of the services, rows of the users' servers."""
    wanted = services.from_note(instance.note("services") or {})
    children = supervisor.children(instance)
    states = states_of(wanted, children)
    processes = leftovers.look(instance) if children else []
    by_name = {child.name: child for child in children or ()}
    rows = [row_of(state, by_name.get(state.service), processes) for state in states]
    users = sorted({one["user"] for one in processes if one["role"] == "notebook"})
    return states, rows, [row_of_user(user, processes) for user in users]


def row_of(state: State, child: Child | None, processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row, with names as --json prints them; `memory_bytes` is None for what does not run."""
    mine = [one["memory"] for one in processes if one["service"] == state.service]
    return {
        "service": state.service,
        "state": state.words,
        "phase": state.phase,
        "pid": child.pid if child else None,
        "since": moment(child.started_at) if child and child.started_at else None,
        "memory_bytes": sum(mine) or None,
    }


def row_of_user(user: str, processes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A user's server with its kernels and terminals."""
    mine = [one for one in processes if one["role"] == "notebook" and one["user"] == user]
    return {
        "service": f"notebook-{user}",
        "state": "running",
        "phase": WELL,
        "pid": min(one["pid"] for one in mine),
        "since": None,
        "memory_bytes": sum(one["memory"] for one in mine),
    }


def moment(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, timezone.utc).isoformat()  # noqa: UP017 - for Python 3.9
