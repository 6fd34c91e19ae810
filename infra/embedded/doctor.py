"""`./slipway doctor` without Docker: all checks, and what runs. Changes nothing."""

from __future__ import annotations

import platform

from infra.embedded import checks, environment, supervisor
from infra.embedded.instance import instance_of
from infra.embedded.status import look
from infra.launcher import login, settings
from infra.launcher.checks import BAD
from infra.launcher.doctor import show
from infra.launcher.paths import ROOT
from infra.launcher.problem import FAILED, PRECONDITION
from infra.launcher.progress import Screen
from infra.launcher.services import all_well


def run(screen: Screen) -> int:
    """0 if nothing stands in the way of `up` and nothing that runs is unwell; 2 if a check failed, 1 if a
    service."""
    chosen = settings.load()
    instance = instance_of(chosen.project)
    found = checks.run(chosen, instance)
    screen.say("Machine")
    screen.say(f"  Python {platform.python_version()} on {platform.platform()}")
    for check in found:
        show(check, screen)
    screen.say("\nConfiguration")
    screen.say(f"  checkout {ROOT}, project {chosen.project}, {chosen.public_url}")
    screen.say(f"  data in {instance.data}")
    made = "made" if environment.python().exists() else "not made yet"
    screen.say(f"  environment {environment.PLATFORM}: {made}")
    screen.say("\nServices")
    status = 0
    if supervisor.pid(instance) is None:
        screen.say("  Nothing runs; `./slipway up` starts it.")
    else:
        states, _, users = look(instance)
        for state in states:
            screen.say(f"  {screen.mark(state.phase)} {state.service}: {state.words}")
        screen.say(f"  {len(users)} user servers")
        status = 0 if all_well(states) else FAILED
    screen.say("\nAddresses")
    for line in login.addresses(chosen):
        screen.say(line)
    return PRECONDITION if any(check.verdict == BAD for check in found) else status
