"""`./slipway doctor`: all checks, and what one would ask a person who reports a fault. Changes nothing."""

from __future__ import annotations

import platform
from collections.abc import Sequence

from infra.launcher import build, checks, engine, images, login, services, settings
from infra.launcher.checks import BAD, GOOD, Check, Facts
from infra.launcher.paths import DOTENV, ROOT
from infra.launcher.problem import FAILED, PRECONDITION
from infra.launcher.progress import Screen
from infra.offline.registry import registry_reachable


def run(screen: Screen) -> int:
    """0 if nothing stands in the way of `up` and nothing that runs is unwell; 2 if a check failed, 1 if a
    service.
    """
    chosen = settings.load()
    found, facts = checks.run(chosen)
    screen.say("Machine")
    system = facts.engine.system if facts.engine else platform.platform()
    screen.say(f"  Python {platform.python_version()} on {system}")
    for check in found:
        show(check, screen)
    screen.say("\nConfiguration")
    screen.say(f"  checkout {ROOT}, project {chosen.project}, {chosen.public_url}")
    written = len([name for name in chosen.values if DOTENV.exists() and name in own_names()])
    screen.say(
        f"  .env: {f'{written} variables' if DOTENV.exists() else 'none, so every option has its default'}"
    )
    status = FAILED
    if facts.engine and facts.plan:
        show_images(chosen, facts, screen)
        status = show_services(facts, screen)
        screen.say("\nAddresses")
        for line in login.addresses(chosen):
            screen.say(line)
    if any(check.verdict == BAD for check in found):
        return PRECONDITION
    return status


def own_names() -> Sequence[str]:
    from infra.launcher import dotenv

    return list(dotenv.parse(dotenv.read(DOTENV)))


def show(check: Check, screen: Screen) -> None:
    if check.verdict == BAD:
        screen.bad(f"{check.words}\n    → {check.remedy}")
    elif check.verdict == GOOD:
        screen.good(check.words)
    else:
        screen.say(f"  Note: {check.words}")


def show_images(chosen: settings.Settings, facts: Facts, screen: Screen) -> None:
    assert facts.plan is not None
    screen.say("\nImages")
    needed = build.is_needed(facts.plan)
    there = engine.image_ids([*facts.plan.built_images(), *facts.plan.run_as_pulled()])
    for name in [*facts.plan.built_images(), *facts.plan.run_as_pulled()]:
        screen.say(f"  {'here   ' if name in there else 'missing'}  {name}")
    screen.say(f"  Our own are {'to be built' if needed else 'up to date with the sources'}.")
    absent = images.missing(facts.plan, needed)
    if chosen.offline_images:
        screen.say("  Offline: .env names images that were built here.")
    elif absent:
        reached = registry_reachable(absent[0])
        found = "Online: the registry answers for" if reached else "Offline: no registry is reached for"
        screen.say(f"  {found} {absent[0]}.")
    else:
        screen.say("  No registry is needed: every image is here.")


def show_services(facts: Facts, screen: Screen) -> int:
    assert facts.plan is not None
    screen.say("\nServices")
    if not facts.containers:
        screen.say("  Nothing runs; `./slipway up` starts it.")
        return 0
    states = services.states_of(facts.plan.services, facts.containers)
    for state in states:
        screen.say(f"  {screen.mark(state.phase)} {state.service}: {state.words}")
    users = engine.notebooks(facts.plan.project)
    screen.say(f"  {len(users)} user servers")
    return 0 if services.all_well(states) else FAILED
