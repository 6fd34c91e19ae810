"""`./slipway restart`: services anew. Serving's replicas are replaced one after the other, each by a new one
of the present image and options that is ready before the old one goes, so that no request is lost.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from infra.launcher import compose, engine, settings
from infra.launcher.engine import Container
from infra.launcher.lock import only_one
from infra.launcher.logs import check_names
from infra.launcher.problem import PRECONDITION, Interrupted, Problem
from infra.launcher.progress import Screen, seconds

REPLACED = ("serving",)
"""Services of which several may run, whatever .env says; the others are stopped and started in place."""
LOG_LINES = 15
# More than stop_grace_period of any service in compose.yaml.
STOP_SECONDS = 120


def run(names: Sequence[str], timeout: float, screen: Screen) -> int:
    """One service after the other; a Problem where one does not come back, and the rest is left as it is."""
    chosen = settings.load()
    engine.look()
    with only_one(chosen.project, "restart"):
        plan = compose.plan(chosen.project)
        check_names(names, [service.name for service in plan.services if not service.is_job])
        for name in names:
            running = running_of(chosen.project, name)
            if not running:
                raise Problem(f"{name} does not run.", "`./slipway up` starts it.", PRECONDITION)
            if name in REPLACED:
                replace(chosen.project, name, running, timeout, screen)
            else:
                in_place(chosen.project, name, timeout, screen)
    return 0


def running_of(project: str, name: str) -> list[Container]:
    return [one for one in engine.containers(project) if one.service == name and one.state == "running"]


def replace(project: str, name: str, old: Sequence[Container], timeout: float, screen: Screen) -> None:
    """As many as ran run afterwards, and never fewer in between."""
    # Compose counts those that have ended, and would start them instead of new ones.
    ended = [one for one in engine.containers(project) if one.service == name and one.state != "running"]
    must(engine.docker("rm", "--volumes", *(one.id for one in ended)) if ended else None, name)
    for number, one in enumerate(old, start=1):
        began = time.monotonic()
        add(project, name, len(old) + 1, timeout)
        took = seconds(time.monotonic() - began)
        screen.say(f"{name} {number} of {len(old)}: a new one is ready ({took}); the old one finishes")
        must(engine.docker("stop", one.id, seconds=STOP_SECONDS), name)
        must(engine.docker("rm", "--volumes", one.id), name)
    screen.good(f"{name} was restarted; {replicas(len(old))} answered all the time.")


def add(project: str, name: str, count: int, timeout: float) -> None:
    """One more, ready; where it does not get there it is removed, and those that ran go on."""
    before = {one.id for one in engine.containers(project)}
    try:
        must(compose.scale(project, name, count), name)
        (new,) = (one for one in running_of(project, name) if one.id not in before)
        wait(new, name, timeout)
    except (Problem, Interrupted):
        new_ones = [one.id for one in engine.containers(project) if one.id not in before]
        if new_ones:
            engine.docker("rm", "--force", "--volumes", *new_ones)
        raise


def in_place(project: str, name: str, timeout: float, screen: Screen) -> None:
    must(compose.restart(project, name), name)
    for one in running_of(project, name):
        wait(one, name, timeout)
    screen.good(f"{name} was restarted.")


def wait(container: Container, name: str, timeout: float) -> None:
    """Until its own healthcheck passes, which is run here, since the engine waits between its looks."""
    deadline = time.monotonic() + timeout
    while not engine.passes_its_check(container.id):
        if time.monotonic() > deadline:
            said = engine.log_of(container.id, LOG_LINES)
            raise Problem(
                "\n".join(
                    [
                        f"{name} did not become ready within {seconds(timeout)} (--timeout).",
                        *(f"    {line}" for line in said),
                    ]
                ),
                "Correct that and run the same command again.",
            )
        time.sleep(0.3)


def must(answer: engine.Answer | None, name: str) -> None:
    if answer is not None and not answer.ok:
        raise Problem(
            f"{name} could not be restarted: {answer.last_words(4)}",
            "See `./slipway status`, then run the same command again.",
        )


def replicas(count: int) -> str:
    return "its replica" if count == 1 else f"{count} replicas"
