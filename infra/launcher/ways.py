"""Which of the two ways of running a project goes: `docker`, the Compose stack, or `embedded`, processes of
one supervisor.

What `up` chose once is noted down, so that an engine that is stopped, or one that is installed later, does
not make the next `up` start an empty platform of the other way.
"""

from __future__ import annotations

from infra.launcher import engine
from infra.launcher.paths import STATE, ensure_state
from infra.launcher.problem import Problem

DOCKER, EMBEDDED = "docker", "embedded"
WAYS = (DOCKER, EMBEDDED)


def noted(project: str) -> str | None:
    """What `up` chose last for this project."""
    try:
        way = (STATE / "ways" / project).read_text().strip()
    except OSError:
        return None
    return way if way in WAYS else None


def note(project: str, way: str) -> None:
    ensure_state()
    (STATE / "ways").mkdir(exist_ok=True)
    (STATE / "ways" / project).write_text(f"{way}\n")


def choose(project: str, asked: str | None) -> tuple[str, bool]:
    """The way, and whether it is `embedded` only because no engine answers.

    `asked`: what the person chose on the command line, if anything.
    """
    if way := asked or noted(project):
        return way, False
    return (DOCKER, False) if an_engine_answers() else (EMBEDDED, True)


def an_engine_answers() -> bool:
    try:
        engine.look()
    except Problem:
        return False
    return True
