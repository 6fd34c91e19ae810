"""Makes sure that the images which others made are there: pulled, or built offline where no registry is
reached.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from infra.docker.system import Refusal
from infra.launcher import dotenv, engine
from infra.launcher.compose import Plan
from infra.launcher.paths import DOTENV
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import Screen
from infra.launcher.settings import Settings
from infra.offline.build import build_all
from infra.offline.registry import registry_reachable

PULL_SECONDS = 1800


def missing(plan: Plan, will_build: bool) -> list[str]:
    """Images that are not on the engine and will be needed; the bases of our own only if those are to be
    built.
    """
    wanted = plan.pulled_images() if will_build else plan.run_as_pulled()
    there = engine.image_ids(wanted)
    return [name for name in wanted if name not in there]


def go_offline(chosen: Settings, absent: Iterable[str], forced: bool | None, screen: Screen) -> bool:
    """Whether to build the offline images. `forced`: True for --offline, False for --online, None to find
    out.
    """
    if forced is not None:
        return forced
    absent = list(absent)
    if not absent:
        return False
    if chosen.offline_images:
        return True
    unreached = [name for name in absent if not registry_reachable(name)]
    if unreached:
        screen.say(
            f"No container registry has {unreached[0]}, or none is reached: the offline images are built."
        )
    return bool(unreached)


def ensure_offline(chosen: Settings, screen: Screen) -> bool:
    """Builds the offline images and notes them in .env; true if .env changed."""
    log = _Log(screen)
    try:
        variables = build_all(log)
    except Refusal as refusal:
        raise Problem(f"The offline images could not be built: {refusal}") from None
    finally:
        screen.clear()
    changed = dotenv.write_block(
        DOTENV, to_write(variables, dotenv.outside_of(dotenv.read(DOTENV)), chosen.values)
    )
    if changed:
        screen.good("offline images are built, and noted in the marked block at the end of .env")
    return changed


def to_write(variables: Mapping[str, str], operators_text: str, values: Mapping[str, str]) -> dict[str, str]:
    """What goes into the block: all but what the operator has chosen, whose word counts.

    A COMPOSE_FILE of the operator's must name the offline override itself, or a Problem says so: what else is
    in it, and in which order, is not the launcher's to decide.
    """
    operators = dotenv.parse(operators_text)
    override = variables.get("COMPOSE_FILE", "").split(":")[-1]
    if operators.get("COMPOSE_FILE") and override and override not in values.get("COMPOSE_FILE", ""):
        raise Problem(
            f"COMPOSE_FILE in .env is {operators['COMPOSE_FILE']}; the offline images need {override} in it.",
            f"Make it COMPOSE_FILE=compose.yaml:{override}:… with your own files after these two.",
            PRECONDITION,
        )
    return {name: value for name, value in variables.items() if not operators.get(name)}


def forget_offline(screen: Screen) -> bool:
    """Takes the block out of .env (--online); true if there was one."""
    changed = dotenv.write_block(DOTENV, {})
    if changed:
        screen.good("the offline images are no longer named in .env")
    return changed


def pull(names: Iterable[str], screen: Screen) -> None:
    """Fetches images from their registries; a Problem names the first that cannot be had."""
    for name in names:
        screen.draw([f"  pulling {name}"])
        answer = engine.docker("pull", "--quiet", name, seconds=PULL_SECONDS)
        if not answer.ok:
            raise Problem(
                f"The image {name} could not be pulled: {answer.last_words(2)}",
                "Where no registry is reached: `./slipway up --offline`. Behind a proxy or a mirror: tell "
                "the Docker Engine of it, or name your own image in .env (.env.example, section Images).",
            )
        screen.good(f"pulled {name}")


class _Log:
    """What the offline builder tells: steps on a live line, the rest as lines that stay."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def __call__(self, line: str) -> None:
        if line.startswith("  "):
            self.screen.draw([line])
        else:
            self.screen.say(f"  {line}")
