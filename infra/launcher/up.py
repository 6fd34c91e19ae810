"""`./slipway up`: checks, gets and builds images, starts the stack and waits until every service is well."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.launcher import build, checks, compose, engine, images, login, services, settings
from infra.launcher.compose import Plan
from infra.launcher.engine import Container
from infra.launcher.lock import only_one
from infra.launcher.paths import LOGS, short
from infra.launcher.problem import PRECONDITION, Interrupted, Problem
from infra.launcher.progress import Screen, Watch, seconds
from infra.launcher.services import FAILED, WELL, State
from infra.launcher.shell import last_lines

# A service that was unhealthy from before gets this long to be healthy again once all is started.
PATIENCE_WITH_UNHEALTHY = 30
LOG_LINES = 15


class Options(NamedTuple):
    install_docker: bool = False
    yes: bool = False
    offline: bool | None = None
    """True for --offline, False for --online, None to find out."""
    timeout: float = 900
    """Seconds for the services to become well, after images are built."""
    build: bool = True


def run(options: Options, screen: Screen) -> int:
    """Brings the stack up, or finds it up. Returns 0, or raises a Problem when it has been put back in
    order.
    """
    chosen = settings.load()
    if options.install_docker:
        ensure_docker(options.yes)
    with only_one(chosen.project, "up"):
        found, facts = checks.run(chosen)
        show(found, screen)
        checks.require(found)
        plan = facts.plan
        assert plan is not None  # it is there when no check failed
        plan = ensure_images(chosen, plan, options, screen)
        if is_running(plan):
            screen.good("Slipway is already running; nothing was changed.")
        else:
            start(plan, options.timeout, screen)
        login.tell(settings.load(), screen)
    return 0


def ensure_docker(yes: bool) -> None:
    """Installs what is missing and starts the engine; nothing if all is there."""
    from infra.docker.daemon import answers
    from infra.docker.install import main as install
    from infra.docker.plan import look

    if not (answers() and not look().anything()) and install(yes) != 0:
        raise Problem("Docker was not installed; nothing else was done.", status=PRECONDITION)


def show(found: Sequence[checks.Check], screen: Screen) -> None:
    telling = ("engine", "compose", "memory", "disk")
    good = [check.words for check in found if check.verdict == checks.GOOD and check.name in telling]
    if good and not any(check.verdict == checks.BAD for check in found):
        screen.good("This machine will do: " + ", ".join(good))
    for check in found:
        if check.verdict == checks.NOTE:
            screen.say(f"  Note: {check.words}")


def ensure_images(chosen: settings.Settings, plan: Plan, options: Options, screen: Screen) -> Plan:
    """Pulls or builds what is missing or out of date; returns the plan as it is afterwards."""
    needed = build.is_needed(plan)
    absent = images.missing(plan, needed)
    if options.offline is False and images.forget_offline(screen):
        return ensure_images(settings.load(), compose.plan(chosen.project), options, screen)
    if images.go_offline(chosen, absent, options.offline, screen):
        images.ensure_offline(chosen, screen)
        plan = compose.plan(chosen.project)
        needed = build.is_needed(plan)
    images.pull(images.missing(plan, will_build=False), screen)
    if needed and options.build:
        build.run(plan, screen)
    elif needed:
        there = engine.image_ids(plan.built_images())
        lacking = [name for name in plan.built_images() if name not in there]
        if lacking:
            raise Problem(
                f"--no-build was given, but {', '.join(lacking)} is not built.",
                "Run `./slipway up` without --no-build.",
                PRECONDITION,
            )
    return plan


def is_running(plan: Plan) -> bool:
    """True if every service is well and made from the present configuration and images."""
    containers = engine.containers(plan.project)
    return services.all_well(services.states_of(plan.services, containers)) and services.up_to_date(
        plan.services,
        containers,
        compose.hashes(plan.project),
        engine.image_ids([s.image for s in plan.services]),
    )


def start(plan: Plan, timeout: float, screen: Screen) -> None:
    """Starts and waits. If that fails and nothing ran before, all is stopped again; volumes are never
    touched.
    """
    before = engine.containers(plan.project)
    was_down = not any(one.state in ("running", "restarting") for one in before)
    screen.say("Starting" if was_down else "Bringing the running stack up to date")
    began = time.monotonic()
    try:
        wait(plan, before, timeout, screen)
    except (Problem, Interrupted):
        screen.clear()
        if was_down:
            put_back(plan, screen)
        raise
    screen.good(f"Slipway is up ({seconds(time.monotonic() - began)})")


def wait(plan: Plan, before: Sequence[Container], timeout: float, screen: Screen) -> None:
    log = LOGS / f"up-{plan.project}.log"
    restarts = {one.id: one.restarts for one in before}
    watch, deadline = Watch(screen), time.monotonic() + timeout
    process = compose.start(plan.project, log)
    all_started: float | None = None
    try:
        while True:
            status = process.status()
            states = services.states_of(plan.services, engine.containers(plan.project), restarts)
            fresh = services.without_leftovers(states, before)
            watch.update(fresh if status is None else states)
            if status is not None and status != 0:
                raise failure(fresh, log, "Compose could not start it.")
            if status == 0:
                all_started = all_started or time.monotonic()
                if services.all_well(states):
                    watch.finish(states)
                    return
            if gave_up(states, all_started):
                raise failure(states, log, "Not every service came up.")
            if time.monotonic() > deadline:
                raise failure(
                    states, log, f"Not every service came up within {seconds(timeout)} (--timeout)."
                )
            time.sleep(1)
    finally:
        process.end()


def gave_up(states: Sequence[State], all_started: float | None) -> bool:
    """True if a service has failed for good. Before Compose has started all of them, what looks failed may be
    a container of last time that it has not come to yet; only one that crashes now, again and again, is
    certain."""
    bad = [state for state in states if state.phase == FAILED]
    if all_started is None:
        return any(state.words.startswith("crashes") for state in bad)
    may_recover = time.monotonic() - all_started < PATIENCE_WITH_UNHEALTHY
    return any(not (state.words == "unhealthy" and may_recover) for state in bad)


def failure(states: Sequence[State], log: Path, what: str) -> Problem:
    """What went wrong, with the last lines of each service that failed."""
    bad = [state for state in states if state.phase == FAILED]
    late = [state for state in states if state.phase != WELL] if not bad else []
    parts = [what]
    for state in bad or [one for one in late if one.container]:
        parts.append(f"  {state.service}: {state.words}")
        said = engine.log_of(state.container.id, LOG_LINES) if state.container else []
        parts += [f"      {line}" for line in said]
    if not bad:
        parts += [f"    {line}" for line in last_lines(log, LOG_LINES)]
    names = "".join(f" {state.service}" for state in bad)
    return Problem(
        "\n".join(parts),
        f"Correct that and run `./slipway up` again; `./slipway logs{names}` shows more, "
        f"{short(log)} what Compose did.",
    )


def put_back(plan: Plan, screen: Screen) -> None:
    """Stops what this start has started; the containers stay for their logs. A second Ctrl-C does not cut it
    short.
    """
    screen.say("Stopping what was started (data and logs are kept) …")
    old = {
        number: signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        compose.stop(plan.project)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
