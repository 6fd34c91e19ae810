"""All processes of an instance, whoever started them: asked of processes.py, which runs in the platform's
environment."""

from __future__ import annotations

import json
from typing import Any

from infra.embedded import environment
from infra.embedded.instance import Instance
from infra.launcher.problem import Problem
from infra.launcher.shell import ask


def look(instance: Instance) -> list[dict[str, Any]]:
    """pid, service, role, user, memory (bytes) of each."""
    return _ask("list", instance)


def end(instance: Instance) -> int:
    """Ends them all; the number of those that were there."""
    there = len(look(instance))
    if there and (stubborn := _ask("stop", instance)):
        numbers = ", ".join(str(one["pid"]) for one in stubborn)
        raise Problem(f"These processes did not end: {numbers}.", "End them by hand (`kill -9`).")
    return there


def _ask(order: str, instance: Instance) -> list[dict[str, Any]]:
    python = environment.python()
    if not python.exists():  # nothing was ever started from here
        return []
    answer = ask([str(python), "-m", "infra.embedded.processes", order, str(instance.folder)], seconds=90)
    if not answer.ok:
        raise Problem(
            f"The processes of {instance.project} cannot be looked at: {answer.last_words(3)}",
            "Run `./slipway up --embedded`, which repairs the environment, then try again.",
        )
    return json.loads(answer.out)
