"""Finds a Python new enough for the platform's packages, and makes virtual environments with it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.launcher.paths import short
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.progress import Screen, seconds
from infra.launcher.shell import ask, lines_of

OLDEST, NEWEST = (3, 11), (3, 14)
"""For which there are wheels of all packages: no compiler is needed."""
LAST_LINES = 10


class NoVenvModule(Problem):
    """Debian and Ubuntu ship Python without what `python -m venv` needs."""


def find_python() -> str:
    """This one, else one on PATH."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return sys.executable
    for minor in (13, 12, 11, 14):
        found = shutil.which(f"python3.{minor}")
        # A name on PATH may be a version manager's stub that refuses to run.
        if found and ask([found, "-c", "import venv"], seconds=20).ok:
            return found
    raise Problem(
        f"Python 3.11 to 3.14 is needed; this is {'.'.join(map(str, sys.version_info[:2]))}.",
        "Install one (`sudo apt-get install python3.11 python3.11-venv`) and run this again.",
        PRECONDITION,
    )


def make_venv(python: str, folder: Path, *options: str) -> None:
    """A new, empty environment in the folder; what was there is deleted."""
    if folder.exists():
        shutil.rmtree(str(folder))
    made = ask([python, "-I", "-m", "venv", *options, str(folder)], seconds=300)
    if made.ok:
        return
    if "ensurepip" in made.out + made.err:
        version = ask([python, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).out.strip()
        raise NoVenvModule(
            f"{python} cannot make virtual environments: its module `ensurepip` is not installed.",
            f"On Debian and Ubuntu: `sudo apt-get install python{version}-venv`. Then run this again.",
            PRECONDITION,
        )
    raise Problem(f"`{python} -m venv {folder}` failed:\n{made.last_words(4)}", "", PRECONDITION)


def pip(python: Path) -> list[str]:
    """The command, kept from what the account's variables would add to its import path."""
    return [str(python), "-I", "-m", "pip", "--disable-pip-version-check"]


def follow(
    command: Sequence[str],
    log: Path,
    screen: Screen,
    environment: Mapping[str, str] | None = None,
    hold: int | None = None,
) -> None:
    """Runs a program that installs, and shows its last line and for how long it has run; a Problem has the
    end of what it said.
    """
    last: list[str] = []
    began = time.monotonic()
    try:
        for line in lines_of(command, log, environment, hold):
            last = [*last, line][-LAST_LINES:]
            screen.draw([f"  {seconds(time.monotonic() - began):>6}  {line}"])
    except Problem as problem:
        said = "\n".join(f"    {line}" for line in last)
        raise Problem(
            f"Packages could not be installed:\n{said}",
            f"See that pip reaches its index on this machine; the whole log is {short(log)}.",
        ) from problem
    finally:
        screen.clear()
