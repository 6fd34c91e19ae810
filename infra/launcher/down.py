"""`./slipway down`: stops the stack and the users' servers; deletes data only when told so in full."""

from __future__ import annotations

import re
import sys

from infra.launcher import compose, engine, settings
from infra.launcher.lock import only_one
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import Screen

GONE_ALREADY = re.compile(r"No such container|network \S+ not found|No such network", re.IGNORECASE)


def run(with_volumes: bool, yes: bool, screen: Screen) -> int:
    """Stops everything of this project. Running again finds nothing to do."""
    chosen = settings.load()
    engine.look()
    with only_one(chosen.project, "down"):
        doomed = (
            engine.volumes(chosen.project) + engine.notebook_volumes(chosen.project) if with_volumes else []
        )
        if doomed and not yes:
            confirm(chosen.project, doomed, screen)
        users = engine.notebooks(chosen.project)
        here = engine.containers(chosen.project)
        # The users' servers hold the network on which the hub started them, so they go first.
        if users:
            screen.say(f"Stopping {len(users)} user server{'s' if len(users) > 1 else ''} (their files stay)")
            must(
                "docker stop", engine.docker("stop", "--time", "10", *(one.id for one in users), seconds=120)
            )
            # A server that the hub removes by itself when it stops is gone by now; that is as good. Only the
            # volume of its /tmp has no name and goes with it.
            engine.docker("rm", "--force", "--volumes", *(one.id for one in users))
        if here:
            screen.say("Stopping the stack")
        answer = compose.remove(chosen.project, with_volumes)
        must("docker compose down", answer)
        # The hub makes a network for each user's server and joins services to it; once all of these are gone,
        # nothing holds such a network any more, and nobody makes another.
        if networks := engine.notebook_networks(chosen.project):
            must("docker network rm", engine.docker("network", "rm", *networks))
        homes = engine.notebook_volumes(chosen.project) if with_volumes else []
        if homes:
            must("docker volume rm", engine.docker("volume", "rm", *homes))
        if doomed:
            screen.good(f"Slipway is down, and its data is deleted ({len(doomed)} volumes).")
        elif here or users:
            screen.good("Slipway is down; its data is kept. `./slipway up` starts it again.")
        else:
            screen.good("Nothing was running.")
    return 0


def must(what: str, answer: engine.Answer) -> None:
    if not answer.ok and not GONE_ALREADY.search(answer.err):
        raise Problem(
            f"`{what}` failed: {answer.last_words(4)}",
            "Run `./slipway down` again, or see `./slipway status`.",
        )


def confirm(project: str, doomed: list[str], screen: Screen) -> None:
    """Asks for the project's name; anything else is a Problem and nothing is deleted."""
    screen.say(f"This deletes all data of {project}, for good: accounts, notebooks, runs, models, secrets.")
    for name in doomed:
        screen.say(f"  {name}")
    if not sys.stdin.isatty():
        raise Problem(
            "Nobody is there to confirm it.",
            "Say so beforehand: `./slipway down --volumes --yes`.",
            PRECONDITION,
        )
    try:
        typed = input(f"Type {project} to delete them: ").strip()
    except EOFError:
        typed = ""
    if typed != project:
        raise Problem("That is not the project's name; nothing was deleted.", status=PRECONDITION)
