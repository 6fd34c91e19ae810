"""`./slipway up` without Docker: makes the environment, starts the services under one supervisor, waits until
they are well, and gives the link that logs the administrator in.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from infra.embedded import checks, environment, login_link, services, stores, supervisor
from infra.embedded.down import stop_all
from infra.embedded.instance import Instance, administrator, instance_of, instances
from infra.embedded.services import Service
from infra.embedded.supervisor import Child
from infra.launcher import login, settings
from infra.launcher.checks import require
from infra.launcher.lock import only_one
from infra.launcher.problem import PRECONDITION, Interrupted, Problem
from infra.launcher.progress import Screen, Watch, seconds
from infra.launcher.services import FAILED, WAITING, WELL, WORKING, State, all_well
from infra.launcher.settings import Settings
from infra.launcher.shell import last_lines

LOG_LINES = 15
LINK_SECONDS = 900
# A service may lose a race at start; one that was another process this often will not make it.
STARTS_THAT_ARE_TOO_MANY = 6


class Options(NamedTuple):
    timeout: float = 900
    """Seconds for the services to become well, after the environment is made."""
    open_browser: bool = False


def run(options: Options, screen: Screen) -> int:
    """Brings the platform up, or finds it up. Returns 0, or raises a Problem when what it started has been
    stopped again.
    """
    chosen = settings.load()
    instance = instance_of(chosen.project)
    with only_one(chosen.project, "up"):
        require(checks.run(chosen, instance))
        ensure_environment(instance, screen)
        instance.ensure()
        port = services.ports_of(instance, keep=is_running(instance))
        wanted = services.wanted(chosen, instance, port)
        if is_running(instance) and instance.note("services") == services.as_note(wanted):
            wait(instance, wanted, options.timeout, screen)
            screen.good("Slipway is already running; nothing was changed.")
        else:
            if supervisor.shut_down(instance):
                screen.say("Its options or its programs have changed: starting it anew")
            instance.write_note("ports", {**port, "public": chosen.http_port})
            start(instance, wanted, options.timeout, screen)
        tell(chosen, instance, options.open_browser, screen)
    return 0


def ensure_environment(instance: Instance, screen: Screen) -> None:
    """Makes the Python environment where it is missing or of an older release. Nothing may run in it then."""
    if environment.is_made():
        return
    for other in instances():
        if other.project != instance.project and is_running(other):
            raise Problem(
                f"The Python environment must be made anew, and the platform {other.project} runs in it.",
                f"Stop that first: `COMPOSE_PROJECT_NAME={other.project} ./slipway down --embedded`.",
                PRECONDITION,
            )
    if supervisor.shut_down(instance):
        screen.say("Its Python environment has changed: starting it anew")
    environment.ensure(screen)


def is_running(instance: Instance) -> bool:
    return supervisor.pid(instance) is not None


def start(instance: Instance, wanted: Sequence[Service], timeout: float, screen: Screen) -> None:
    """Starts and waits; if that fails or is interrupted, all is stopped again and the data stays."""
    began = time.monotonic()
    stores.ensure(instance, wanted, screen)
    instance.write_note("services", services.as_note(wanted))
    process = None
    try:
        process = supervisor.start(instance, [one.name for one in wanted], environment.PLATFORM)
        wait(instance, wanted, timeout, screen, ended=lambda: process.poll() is not None)
    except (Problem, Interrupted):
        screen.clear()
        put_back(instance, process, screen)
        raise
    screen.good(f"Slipway is up ({seconds(time.monotonic() - began)})")


def wait(
    instance: Instance,
    wanted: Sequence[Service],
    timeout: float,
    screen: Screen,
    ended=lambda: False,
) -> None:
    """Until every service answers; a Problem if one fails for good, or none may within `timeout` seconds."""
    watch, deadline = Watch(screen), time.monotonic() + timeout
    seen: dict[str, set[int]] = {one.name: set() for one in wanted}
    while True:
        children = supervisor.children(instance)
        for child in children or ():
            seen[child.name].add(child.pid)
        states = [
            state._replace(phase=FAILED, words="crashes again and again")
            if len(seen[state.service]) > STARTS_THAT_ARE_TOO_MANY
            else state
            for state in states_of(wanted, children)
        ]
        watch.update(states)
        if all_well(states):
            watch.finish(states)
            return
        if ended():
            said = last_lines(instance.logs / "supervisor-start.log", LOG_LINES)
            raise Problem("The supervisor could not start:\n" + "\n".join(f"    {line}" for line in said))
        if any(state.phase == FAILED for state in states):
            raise failure(instance, states, "Not every service came up.")
        if time.monotonic() > deadline:
            raise failure(
                instance, states, f"Not every service came up within {seconds(timeout)} (--timeout)."
            )
        time.sleep(0.2)


def states_of(wanted: Sequence[Service], children: Sequence[Child] | None) -> list[State]:
    """The state of each service: what the supervisor says of its process, and whether it answers."""
    by_name = {child.name: child for child in children or ()}
    return [State(one.name, *judge(one, by_name.get(one.name)), None) for one in wanted]


def judge(service: Service, child: Child | None) -> tuple[str, str]:
    if child is None:
        return WAITING, "not started yet"
    if child.state == "FATAL":
        return FAILED, f"crashes again and again{f' ({child.words})' if child.words else ''}"
    if child.state in ("STOPPED", "STOPPING"):
        return FAILED, child.state.lower()
    if child.state in ("BACKOFF", "EXITED"):
        return WORKING, "crashed, is started again"
    return (WELL, "healthy") if answers(service.health) else (WORKING, "starting")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - http, ours
            return response.status < 400
    except (OSError, http.client.HTTPException, urllib.error.URLError):
        return False


def failure(instance: Instance, states: Sequence[State], what: str) -> Problem:
    """What went wrong, with the last lines of each service that is not well."""
    bad = [one for one in states if one.phase == FAILED] or [one for one in states if one.phase != WELL]
    parts = [what]
    for state in bad:
        parts.append(f"  {state.service}: {state.words}")
        parts += [f"      {line}" for line in last_lines(instance.logs / f"{state.service}.log", LOG_LINES)]
    names = " ".join(state.service for state in bad)
    return Problem(
        "\n".join(parts),
        f"Correct that and run `./slipway up` again; `./slipway logs {names}` shows more.",
    )


def put_back(instance: Instance, process: subprocess.Popen[bytes] | None, screen: Screen) -> None:
    """Stops what this start has started. A second Ctrl-C does not cut it short."""
    screen.say("Stopping what was started (data and logs are kept) …")
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old: Mapping = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        # One that does not listen yet has no services yet. Asked to end now, it would start them first.
        if process and not is_running(instance):
            process.kill()
            process.wait()
        stop_all(instance)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def tell(chosen: Settings, instance: Instance, open_browser: bool, screen: Screen) -> None:
    """Prints the addresses and the link; only who can read this account's terminal gets the link."""
    link = login_link.make(
        instance.login_links, administrator(chosen.values), chosen.public_url, time.time(), LINK_SECONDS
    )
    screen.say()
    for line in login.addresses(chosen):
        screen.say(line)
    screen.say()
    screen.say(f"  You are {administrator(chosen.values)}, the administrator. This link logs you in, once:")
    screen.say(f"  {link}")
    screen.say(
        "  `./slipway up` gives another; `./slipway admin-password` shows a password for other browsers."
    )
    if open_browser and not webbrowser.open(link):
        screen.say("  No browser could be opened from here.")
