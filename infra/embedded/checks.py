"""What must be true before an embedded platform is started. Changes nothing."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from infra.embedded import environment, installer, supervisor
from infra.embedded.instance import Instance
from infra.launcher import ports, settings
from infra.launcher.checks import BAD, GIB, GOOD, NOTE, Check, another, free_bytes
from infra.launcher.paths import ROOT, STATE
from infra.launcher.progress import size
from infra.launcher.settings import Settings

# With the environment made, what is left to grow is data; less than this stops SQLite.
DISK = GIB / 4
# The length of a socket's address on macOS.
SOCKET_BYTES = 103
# What the services take at rest, with room for one notebook.
MEMORY = 2 * GIB
FORBIDDEN = {
    ":": "a colon parts folders in PATH",
    r"\?": "a database's address ends at a question mark",
    "%[0-9A-Fa-f]{2}": "% and two digits stand for a letter in addresses",
}
OPTIONS_OF_DOCKER = ("SITE_ADDRESS", "OIDC_CLIENT_ID", "S3_ENDPOINT_URL", "ARTIFACTS_DESTINATION")


def run(chosen: Settings, instance: Instance) -> list[Check]:
    checks = [
        folders_can_be_used(ROOT, STATE),
        socket_can_be_made(instance),
        only_this_machine(chosen),
        port_is_free(chosen, instance),
        enough_disk(instance.folder),
    ]
    checks += [
        Check("options", NOTE, f"{name} has no effect without Docker")
        for name in OPTIONS_OF_DOCKER
        if chosen.values.get(name)
    ]
    checks += [Check("options", NOTE, words) for words in settings.unknown_options_here()]
    memory = total_memory()
    if memory and memory < MEMORY:
        checks.append(Check("memory", NOTE, f"{size(memory)} of memory; {size(MEMORY)} are advised"))
    return checks


def folders_can_be_used(checkout: Path, home: Path) -> Check:
    """Spaces and letters of any language are fine; these are not."""
    for name, folder in (("The checkout", checkout), ("SLIPWAY_HOME", home)):
        for sign, why in FORBIDDEN.items():
            if re.search(sign, str(folder)):
                return Check("folders", BAD, f"{name} is {folder}: {why}.", "Choose another folder.")
    return Check("folders", GOOD, f"data in {home}")


def socket_can_be_made(instance: Instance) -> Check:
    """Linux has a short name for any folder; elsewhere the address is the path, with a process's number."""
    path = instance.folder / supervisor.SOCKET
    if sys.platform == "linux" or len(os.fsencode(path)) + len(".1234567") <= SOCKET_BYTES:
        return Check("socket", GOOD, "the supervisor's socket can be made")
    return Check(
        "socket",
        BAD,
        f"The path {path} is too long for a socket on this system.",
        "Set SLIPWAY_HOME to a folder with a shorter path.",
    )


def only_this_machine(chosen: Settings) -> Check:
    if chosen.bind_address in ("127.0.0.1", "localhost"):
        return Check("address", GOOD, "bound to 127.0.0.1")
    return Check(
        "address",
        BAD,
        f"BIND_ADDRESS is {chosen.bind_address}, but without Docker the platform is for this machine alone.",
        "Take BIND_ADDRESS out, or serve a team with the Compose stack: `./slipway up --docker`.",
    )


def port_is_free(chosen: Settings, instance: Instance) -> Check:
    """Looks at the port unless our own gateway holds it; offers one that is free."""
    number = chosen.http_port
    held = (instance.note("ports") or {}).get("public") == number and supervisor.pid(instance) is not None
    if held or ports.look("127.0.0.1", number) != ports.TAKEN:
        return Check("port", GOOD, f"port {number} is free")
    other = another(number)
    while ports.look("127.0.0.1", other) == ports.TAKEN and other < 65535:
        other += 1
    return Check(
        "port",
        BAD,
        f"Port {number} is taken by {ports.holder(number) or 'another program'}.",
        f"Stop that, or take a free one: `HTTP_PORT={other} ./slipway up` (HTTP_PORT in .env keeps it).",
    )


def enough_disk(folder: Path) -> Check:
    # An environment that is only begun is removed before its room is asked for (installer.py).
    needed = DISK if environment.PLATFORM.exists() else DISK + installer.NEEDED
    while not folder.exists():
        folder = folder.parent
    free = free_bytes(folder)
    if free is None or free >= needed:
        return Check("disk", GOOD, f"{size(free or 0)} free at {folder}")
    return Check(
        "disk",
        BAD,
        f"{size(free)} are free at {folder}, where the platform keeps its data; {size(needed)} are needed.",
        "Free some, or set SLIPWAY_HOME to a folder on another disk.",
    )


def total_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
