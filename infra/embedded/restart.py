"""`./slipway restart` without Docker: services of one instance anew. The gateway holds requests for serving
back until it answers again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from infra.embedded import services, supervisor
from infra.embedded.instance import Instance, instance_of
from infra.embedded.services import Service
from infra.embedded.up import LOG_LINES, answers, is_running
from infra.launcher import settings
from infra.launcher.lock import only_one
from infra.launcher.logs import check_names
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import Screen, seconds
from infra.launcher.shell import last_lines


def run(names: Sequence[str], timeout: float, screen: Screen) -> int:
    """One service after the other; a Problem where one does not come back."""
    check_names(names, services.NAMES)
    instance = instance_of(settings.load().project)
    with only_one(instance.project, "restart"):
        if not is_running(instance):
            raise Problem(
                f"{instance.project} does not run.", "`./slipway up --embedded` starts it.", PRECONDITION
            )
        running = {one.name: one for one in services.from_note(instance.note("services"))}
        for name in names:
            began = time.monotonic()
            supervisor.restart(instance, name)
            wait(instance, running[name], timeout)
            screen.good(f"{name} was restarted ({seconds(time.monotonic() - began)}).")
    return 0


def wait(instance: Instance, service: Service, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not answers(service.health):
        if time.monotonic() > deadline:
            said = last_lines(instance.logs / f"{service.name}.log", LOG_LINES)
            raise Problem(
                "\n".join(
                    [
                        f"{service.name} did not become ready within {seconds(timeout)} (--timeout).",
                        *(f"    {line}" for line in said),
                    ]
                ),
                "Correct that; the supervisor starts it again by itself.",
            )
        time.sleep(0.2)
