"""`./slipway status`: how each service and each user's server is, and what memory it takes. Changes
nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from infra.launcher import compose, engine, services, settings
from infra.launcher.engine import Container
from infra.launcher.problem import FAILED as EXIT_FAILED
from infra.launcher.progress import Screen, size
from infra.launcher.services import State, all_well

COLUMNS = ("service", "state", "since", "memory")


def run(as_json: bool, screen: Screen) -> int:
    """0 only if all is well."""
    chosen = settings.load()
    engine.look()
    plan = compose.plan(chosen.project)
    states = services.states_of(plan.services, engine.containers(chosen.project))
    users = engine.notebooks(chosen.project)
    running = [one.container for one in states if one.container] + users
    memory = engine.memory_of([one.id for one in running if one.state == "running"])
    images = {service.name: service.image for service in plan.services}
    rows = [
        row_of(state.service, state.words, state.phase, state.container, memory, images[state.service])
        for state in states
    ]
    others = [row_of(one.name, one.health or one.state, services.WELL, one, memory, "") for one in users]
    well = all_well(states)
    if as_json:
        print_json(plan.project, well, rows, others)
    else:
        show(plan.project, rows, others, states, screen)
    return 0 if well else EXIT_FAILED


def print_json(project: str, well: bool, rows: Sequence[object], others: Sequence[object]) -> None:
    print(json.dumps({"project": project, "ok": well, "services": rows, "notebooks": others}, indent=2))


def row_of(
    name: str, words: str, phase: str, container: Container | None, memory: dict[str, str], image: str
) -> dict[str, Any]:
    """One row, with names as --json prints them; `memory_bytes` is None for what does not run."""
    used = memory.get(container.id) if container else None
    return {
        "service": name,
        "state": words,
        "phase": phase,
        "container": container.name if container else None,
        "health": (container.health or None) if container else None,
        "since": since(container),
        "memory_bytes": bytes_of(used.split("/")[0]) if used else None,
        "image": image or (container.image if container else ""),
    }


def since(container: Container | None) -> str | None:
    """When it started, or ended if it does not run; None if it never did."""
    if container is None:
        return None
    at = (
        container.started_at
        if container.state in ("running", "restarting", "paused")
        else container.finished_at
    )
    return at if at and not at.startswith("0001") else None


def show(
    project: str,
    rows: Sequence[dict[str, Any]],
    others: Sequence[dict[str, Any]],
    states: Sequence[State],
    screen: Screen,
    last: str = "image",
) -> None:
    """A table; its last column is the field `last` of the rows."""
    columns = (*COLUMNS, last)
    now = datetime.now(timezone.utc)  # noqa: UP017 - datetime.UTC is newer than Python 3.9
    table = [
        (
            row["service"],
            row["state"],
            ago(row["since"], now),
            size(row["memory_bytes"]) if row["memory_bytes"] else "",
            str(row[last] or ""),
        )
        for row in [*rows, *others]
    ]
    widths = [max(len(line[n]) for line in [*table, columns]) for n in range(len(COLUMNS))]
    screen.say("    " + aligned(columns, widths))
    phases = [state.phase for state in states] + [services.WELL] * len(others)
    for phase, line in zip(phases, table):  # noqa: B905 - zip has no `strict` in Python 3.9
        screen.say(f"  {screen.mark(phase)} {aligned(line, widths)}")
    total = sum(row["memory_bytes"] or 0 for row in [*rows, *others])
    well = sum(state.phase == services.WELL for state in states)
    screen.say(f"\n{project}: {well} of {len(states)} well, {size(total)} of memory")


def aligned(words: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([f"{word:<{width}}" for word, width in zip(words, widths)] + [words[-1]])  # noqa: B905


def ago(moment: str | None, now: datetime) -> str:
    """RFC 3339 in words: `5 min`, `3 h`, `12 d`."""
    if not moment:
        return ""
    match = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", moment)
    if not match:
        return ""
    then = datetime.strptime(match.group(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)  # noqa: UP017
    gone = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if gone >= length:
            return f"{gone // length} {unit}"
    return f"{gone} s"


def bytes_of(text: str) -> int:
    """`182.4MiB` as a number, in the units that `docker stats` writes."""
    match = re.match(r"\s*([\d.]+)\s*([kKMGT]?)(i?)B", text)
    if not match:
        return 0
    step = 1024 if match.group(3) else 1000
    return int(float(match.group(1)) * step ** " KMGT".index(match.group(2).upper() or " "))
