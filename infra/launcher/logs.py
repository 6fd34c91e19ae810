"""`./slipway logs`: what the services wrote."""

from __future__ import annotations

from collections.abc import Sequence

from infra.launcher import compose, engine, settings
from infra.launcher.problem import PRECONDITION, Problem


def run(services: Sequence[str], follow: bool, tail: str) -> int:
    """Prints them on this terminal."""
    check_tail(tail)
    chosen = settings.load()
    engine.look()
    check_names(services, [service.name for service in compose.plan(chosen.project).services])
    return compose.show_logs(chosen.project, services, follow, tail)


def check_tail(tail: str) -> None:
    if tail != "all" and not tail.isdigit():
        raise Problem(f"--tail is {tail!r}; it must be a number of lines or `all`.", status=PRECONDITION)


def check_names(services: Sequence[str], known: Sequence[str]) -> None:
    """An unknown service is a Problem that lists the known ones."""
    for name in services:
        if name not in known:
            raise Problem(
                f"There is no service {name}.", f"The services are: {', '.join(known)}.", PRECONDITION
            )
