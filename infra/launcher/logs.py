"""`./slipway logs`: what the services wrote."""

from __future__ import annotations

from collections.abc import Sequence

from infra.launcher import compose, engine, settings
from infra.launcher.problem import PRECONDITION, Problem


def run(services: Sequence[str], follow: bool, tail: str) -> int:
    """Prints them on this terminal; an unknown service is a Problem that lists the known ones."""
    if tail != "all" and not tail.isdigit():
        raise Problem(f"--tail is {tail!r}; it must be a number of lines or `all`.", status=PRECONDITION)
    chosen = settings.load()
    engine.look()
    known = [service.name for service in compose.plan(chosen.project).services]
    for name in services:
        if name not in known:
            raise Problem(
                f"There is no service {name}.", f"The services are: {', '.join(known)}.", PRECONDITION
            )
    return compose.show_logs(chosen.project, services, follow, tail)
