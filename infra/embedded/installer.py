"""Installs a lock into an environment: with `uv`, which takes seconds, else with pip, which takes a minute.

A site's mirror, proxy and certificates are known to pip, so uv is told what pip's configuration says.
"""

from __future__ import annotations

import ast
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from infra.launcher.checks import GIB, free_bytes
from infra.launcher.paths import LOGS, ROOT, STATE
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import Screen, size
from infra.launcher.pythons import follow, pip
from infra.launcher.shell import ask

UV = ROOT / "infra/embedded/installer.txt"
SCRATCH = STATE / "installer"
"""uv itself and temporary files; removed afterwards."""
NEEDED = int(1.5 * GIB)
DISK_FULL = ("No space left on device", "os error 28", "Disk quota exceeded")
# An account may have set pip to install somewhere else.
HERE = {"PIP_USER": "0", "PIP_TARGET": "", "PIP_PREFIX": "", "PIP_ROOT": ""}

OF_PIP = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "retries": "UV_HTTP_RETRIES",
}
"""pip's options, and uv's variables for the same."""
# pip parts several values with blanks or lines, uv with this.
SEPARATORS = {"UV_INDEX": " ", "UV_INSECURE_HOST": " ", "UV_FIND_LINKS": ","}


class NoRoom(Problem):
    """Names the folder, what is free and what is needed."""

    def __init__(self, what: str) -> None:
        free = size(free_bytes(STATE) or 0)
        super().__init__(
            f"{what}: {free} are free at {STATE}, and {size(NEEDED)} are needed.",
            "Free some, or set SLIPWAY_HOME to a folder on another disk, then run this again.",
            PRECONDITION,
        )


class Work(NamedTuple):
    """What installing needs besides the lock."""

    screen: Screen
    hold: int
    """A lock on the environments, which programs that outlive this one hold on to."""


def install(python: Path, lock: Path, make: Callable[[], None], work: Work) -> None:
    """`make` makes the empty environment that `python` is of; it is made again if uv leaves it half full."""
    make()
    try:
        with_uv(python, lock, work)
    except NoRoom:
        raise
    except Problem:
        work.screen.say("  uv could not install them (logs/uv.log says why); pip does it, which takes longer")
        make()
        with_pip(python, lock, work)
    finally:
        shutil.rmtree(str(SCRATCH), ignore_errors=True)


def with_uv(python: Path, lock: Path, work: Work) -> None:
    shutil.rmtree(str(SCRATCH), ignore_errors=True)
    SCRATCH.mkdir()
    options = environment_of_uv(pip_options(python), os.environ)
    get = [*pip(python), "install", "--target", str(SCRATCH / "uv"), "--require-hashes", "--no-deps"]
    run([*get, "--progress-bar", "off", "-r", str(UV)], "installer.log", work, HERE)
    put = [str(SCRATCH / "uv/bin/uv"), "pip", "install", "--python", str(python)]
    run([*put, "--require-hashes", "--no-deps", "-r", str(lock)], "uv.log", work, options)


def with_pip(python: Path, lock: Path, work: Work) -> None:
    SCRATCH.mkdir(exist_ok=True)
    put = [*pip(python), "install", "--require-hashes", "--no-deps", "--no-compile", "--progress-bar", "off"]
    run([*put, "-r", str(lock)], "environment.log", work, {**HERE, "TMPDIR": str(SCRATCH)})


def run(command: list[str], log: str, work: Work, environment: Mapping[str, str]) -> None:
    """A Problem names the folder if its disk is full."""
    try:
        follow(command, LOGS / log, work.screen, environment, work.hold)
    except Problem as problem:
        if any(words in problem.what for words in DISK_FULL):
            raise NoRoom("The disk has become full") from problem
        raise


def require_room() -> None:
    """Before anything is begun."""
    free = free_bytes(STATE)
    if free is not None and free < NEEDED:
        raise NoRoom("There is not enough room for the Python environment")


def pip_options(python: Path) -> dict[str, str]:
    """What pip's files and variables say, by option. Those for `install` win over those for everything, and
    variables over both."""
    said = ask([*pip(python), "config", "list"]).out.splitlines()
    found: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for line in said:
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                found[name[len(section) + 1 :]] = str(ast.literal_eval(value))
    return found


def environment_of_uv(options: Mapping[str, str], current: Mapping[str, str]) -> dict[str, str]:
    """uv's variables; those that are set already stay as they are."""
    told = {
        # pip trusts whom the system trusts, and takes the best of all indexes (hashes say which is right).
        "UV_SYSTEM_CERTS": "true",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        # Bytecode of what is never imported would take longer to make than all the rest.
        "UV_COMPILE_BYTECODE": "false",
        "UV_NO_PROGRESS": "true",
        "TMPDIR": str(SCRATCH),
    }
    for option, name in OF_PIP.items():
        if options.get(option):
            told[name] = (
                SEPARATORS.get(name, " ").join(options[option].split())
                if name in SEPARATORS
                else options[option]
            )
    cache = Path(current.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    while not cache.exists():
        cache = cache.parent
    if (free_bytes(cache) or 0) < NEEDED or not os.access(cache, os.W_OK):
        told["UV_CACHE_DIR"] = str(SCRATCH / "cache")
    return {name: current.get(name) or value for name, value in told.items()}
