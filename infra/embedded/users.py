"""The program that `./slipway users` runs beside the hub (slipway_hub/users.py), without Docker."""

from __future__ import annotations

from collections.abc import Sequence

from infra.embedded import environment, supervisor
from infra.embedded.instance import instance_of
from infra.launcher.problem import Problem
from infra.launcher.settings import Settings
from infra.launcher.shell import Answer, ask
from infra.launcher.users import Hub


def hub(chosen: Settings) -> Hub:
    instance = instance_of(chosen.project)
    service = (instance.note("services") or {}).get("hub")
    if service is None or supervisor.pid(instance) is None:
        raise Problem("The hub is not running.", "`./slipway up --embedded` starts it.")

    def run(arguments: Sequence[str]) -> Answer:
        command = [str(environment.python()), "-m", "slipway_hub.users", *arguments]
        return ask(command, environment=service["environment"])

    return run
