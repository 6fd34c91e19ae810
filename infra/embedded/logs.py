"""`./slipway logs` without Docker: the services' files under the instance's logs/."""

from __future__ import annotations

from collections.abc import Sequence

from infra.embedded.instance import instance_of
from infra.embedded.services import NAMES
from infra.launcher import settings
from infra.launcher.logs import check_names, check_tail
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.shell import show


def run(services: Sequence[str], follow: bool, tail: str) -> int:
    """Prints them on this terminal."""
    check_tail(tail)
    known = [*NAMES, "supervisor"]
    check_names(services, known)
    instance = instance_of(settings.load().project)
    files = [instance.logs / f"{name}.log" for name in services or known]
    there = [str(file) for file in files if file.exists()]
    if not there:
        raise Problem("Nothing was written yet.", "`./slipway up --embedded` starts it.", PRECONDITION)
    lines = "+1" if tail == "all" else tail
    # -F: a log that is rotated goes on under the same name.
    return show(["tail", "-n", lines, *(["-F"] if follow else []), *there])
