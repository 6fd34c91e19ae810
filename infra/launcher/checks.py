"""What must be true before anything is changed. Each decision is a function of facts, so that it can be tried
alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from infra.launcher import compose, engine, ports, settings
from infra.launcher.engine import Container, Engine, version_of
from infra.launcher.paths import ROOT
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import size
from infra.launcher.settings import Settings

GIB = 1024**3
OLDEST_ENGINE, OLDEST_COMPOSE = (20, 10), (2, 20)
MEMORY = 4 * GIB
# A machine sold with 4 GiB shows its kernel's share less.
MEMORY_SHOWN = 3.6 * GIB
DISK_FIRST = 10 * GIB
# With the images built, what is left to grow is data; less than this stops Postgres.
DISK_LATER = 1 * GIB

GOOD, NOTE, BAD = "good", "note", "bad"


class Check(NamedTuple):
    name: str
    verdict: str
    """GOOD, NOTE (worth knowing, stops nothing) or BAD."""
    words: str
    """What was found."""
    remedy: str = ""
    """What to do; empty if nothing."""


class Facts(NamedTuple):
    """What the checks found, for those that go on from there; parts are None where a check before failed."""

    engine: Engine | None
    plan: compose.Plan | None
    containers: Sequence[Container]


def run(chosen: Settings, secrets: Path = ROOT / "secrets") -> tuple[list[Check], Facts]:
    """Looks at the machine. Changes nothing; what cannot be looked at because of an earlier failure is left
    out.
    """
    checks: list[Check] = []
    plan: compose.Plan | None = None
    containers: list[Container] = []
    try:
        found: Engine | None = engine.look()
    except Problem as problem:
        found = None
        checks.append(Check("engine", BAD, problem.what, problem.remedy))
    if found:
        checks.append(engine_is_new_enough(found.version))
    compose_check = compose_is_new_enough(engine.plugin_version("compose"))
    checks += [compose_check, buildx_is_there(engine.plugin_version("buildx"))]
    if compose_check.verdict != BAD:
        try:
            plan = compose.plan(chosen.project)
            checks.append(Check("configuration", GOOD, f"{len(plan.services)} services and jobs"))
        except Problem as problem:
            checks.append(Check("configuration", BAD, problem.what, problem.remedy))
    files = frozenset(path.name for path in secrets.iterdir()) if secrets.is_dir() else frozenset()
    checks += [
        Check("options", BAD, words, "Set it, or take the other one out.")
        for words in settings.missing_companions(chosen.values, files)
    ]
    checks += [Check("options", NOTE, words) for words in settings.unknown_options_here()]
    if found:
        containers = engine.containers(chosen.project)
        checks.append(enough_memory(found.memory_bytes))
        if found.is_here:
            ours = plan.built_images() if plan else []
            built = bool(ours) and set(ours) == set(engine.image_ids(ours))
            checks.append(enough_disk(free_bytes(Path(found.data_root)), found.data_root, built))
            checks += [
                port_is_free(chosen, name, number, containers) for name, number in wanted_ports(chosen, plan)
            ]
        else:
            checks.append(Check("ports and disk", NOTE, "The engine is on another machine: not looked at."))
    return checks, Facts(found, plan, containers)


def engine_is_new_enough(version: str) -> Check:
    if version_of(version) >= OLDEST_ENGINE:
        return Check("engine", GOOD, f"Docker Engine {version}")
    return Check(
        "engine",
        BAD,
        f"Docker Engine {version} is too old; 20.10 or newer is needed.",
        "Upgrade the package that brought it (docker.io or docker-ce).",
    )


def compose_is_new_enough(version: str | None) -> Check:
    if version is None:
        return Check(
            "compose",
            BAD,
            "The Compose plug-in is missing: `docker compose version` does not work.",
            "Run `./slipway install-docker` (Debian, Ubuntu), or install docker-compose-plugin, 2.20 or up.",
        )
    if version_of(version) >= OLDEST_COMPOSE:
        return Check("compose", GOOD, f"Docker Compose {version.lstrip('v')}")
    return Check(
        "compose",
        BAD,
        f"Docker Compose {version} is too old; 2.20 or newer is needed.",
        "Upgrade the package that brought it (docker-compose-plugin, docker-compose-v2 or docker-compose).",
    )


def buildx_is_there(version: str | None) -> Check:
    if version is not None:
        return Check("buildx", GOOD, f"Buildx {version.lstrip('v')}")
    return Check(
        "buildx",
        BAD,
        "The Buildx plug-in is missing; images are built with BuildKit, which needs it.",
        "Run `./slipway install-docker` (Debian, Ubuntu), or install docker-buildx-plugin.",
    )


def enough_memory(total_bytes: int) -> Check:
    if total_bytes >= MEMORY_SHOWN:
        return Check("memory", GOOD, f"{size(total_bytes)} of memory")
    return Check(
        "memory",
        BAD,
        f"The engine's machine has {size(total_bytes)} of memory; {size(MEMORY)} are needed.",
        "Give it more (in Docker Desktop: Settings, Resources).",
    )


def enough_disk(free: int | None, folder: str, built: bool) -> Check:
    """`built`: the images are there, so that only data will be written. `free` None: the folder cannot be
    seen.
    """
    if free is None:
        return Check("disk", NOTE, f"The free space at {folder} cannot be seen from here.")
    needed = DISK_LATER if built else DISK_FIRST
    if free >= needed:
        return Check("disk", GOOD, f"{size(free)} free at {folder}")
    return Check(
        "disk",
        BAD,
        f"{size(free)} are free at {folder}, where Docker keeps images and data; {size(needed)} are needed.",
        "Free some: `docker system df` shows what Docker holds, `docker builder prune` drops build layers.",
    )


def free_bytes(folder: Path) -> int | None:
    """Free space where the folder is; None if it cannot be seen, as with an engine in a virtual machine."""
    # A plain user may not look into /var/lib/docker itself, but its parent is on the same disk unless
    # mounted.
    for place in (folder, folder.parent):
        try:
            return shutil.disk_usage(str(place)).free
        except OSError:
            continue
    return None


def wanted_ports(chosen: Settings, plan: compose.Plan | None) -> list[tuple[str, int]]:
    """Ports of the machine and the variable that chooses each; one that an override publishes has no
    variable.
    """
    known = {chosen.http_port: "HTTP_PORT", chosen.https_port: "HTTPS_PORT"}
    if plan is None:
        return [(name, number) for number, name in known.items()]
    return [(known.get(number, ""), number) for service in plan.services for number in service.ports]


def port_is_free(chosen: Settings, variable: str, number: int, containers: Iterable[Container]) -> Check:
    """Looks at the port unless our own running stack holds it."""
    if any(one.state == "running" and number in one.ports for one in containers):
        # Any port of the address tells whether the address, which may be new in .env, is this machine's.
        if ports.look(chosen.bind_address, 0) == ports.NO_SUCH_ADDRESS:
            return port_check(chosen.bind_address, variable, number, ports.NO_SUCH_ADDRESS, None)
        return Check("port", GOOD, f"port {number} is held by this stack")
    state = ports.look(chosen.bind_address, number)
    who = None
    if state == ports.TAKEN:
        names = engine.publishers(number)
        who = f"the container {names[0]}" if names else ports.holder(number)
    return port_check(chosen.bind_address, variable, number, state, who)


def port_check(address: str, variable: str, number: int, state: str, who: str | None) -> Check:
    """What a port's state means; `who` holds it, where that is known."""
    if state == ports.TAKEN:
        change = (
            f"set {variable} in .env to another one, for example {variable}={another(number)}"
            if variable
            else ("change it in the Compose file that publishes it")
        )
        return Check(
            "port",
            BAD,
            f"Port {number} is taken by {who or 'another program'}.",
            f"Stop that, or {change}.",
        )
    if state == ports.NO_SUCH_ADDRESS:
        return Check(
            "port",
            BAD,
            f"BIND_ADDRESS is {address}, which is not an address of this machine.",
            "Set BIND_ADDRESS in .env to 127.0.0.1 (this machine alone) or 0.0.0.0 (every network).",
        )
    if state == ports.UNKNOWN:
        return Check("port", NOTE, f"Whether port {number} is free cannot be seen by this user.")
    return Check("port", GOOD, f"port {number} is free")


def another(number: int) -> int:
    return number + 1000 if number + 1000 <= 65535 else number - 1000


def require(checks: Sequence[Check]) -> None:
    """A Problem that shows all failed checks together; nothing if there are none."""
    failed = [check for check in checks if check.verdict == BAD]
    if failed:
        count = "One thing stands" if len(failed) == 1 else f"{len(failed)} things stand"
        listed = "\n".join(
            f"  {n}. {check.words}\n     → {check.remedy}" for n, check in enumerate(failed, 1)
        )
        raise Problem(f"{count} in the way; nothing was changed.\n{listed}", status=PRECONDITION)
