"""What this machine is (distribution, user, init system) and how its programs are run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SUPPORTED = "Debian 12 and 13, and Ubuntu 22.04 or newer"
DOCKERS_OWN_PAGES = "https://docs.docker.com/engine/install/"


class Refusal(Exception):
    """The machine is not one that can be helped, or a step failed; the text says what to do about it."""


class Distribution(NamedTuple):
    """One of the distributions that are known here."""

    id: str
    """`debian` or `ubuntu`."""
    version: tuple[int, int]
    """Major and minor number; Debian's minor is 0."""
    codename: str
    """The suite's name in apt sources, such as `bookworm`."""
    name: str
    """The name it calls itself, for people."""


def read_os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The variables of os-release; empty if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    return parse_os_release(text)


def parse_os_release(text: str) -> dict[str, str]:
    """`NAME=value` lines, values with or without quotes."""
    variables = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            variables[name] = value.strip().strip("\"'")
    return variables


def the_distribution(variables: Mapping[str, str]) -> Distribution:
    """The distribution, or a Refusal that says what to do on one that is not known here."""
    identity = variables.get("ID", "").lower()
    name = variables.get("PRETTY_NAME") or variables.get("NAME") or "a system without /etc/os-release"
    numbers = variables.get("VERSION_ID", "").split(".")
    try:
        version = (int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0)
    except ValueError:
        version = (0, 0)
    known = (identity == "debian" and version[0] in (12, 13)) or (identity == "ubuntu" and version >= (22, 4))
    if not known:
        raise Refusal(
            f"This is {name}. Docker is installed here on {SUPPORTED}. Install Docker Engine 20.10 or newer "
            f"with "
            f"Compose v2 and Buildx as {DOCKERS_OWN_PAGES} tells for your system, then run ./slipway up."
        )
    return Distribution(identity, version, variables.get("VERSION_CODENAME", ""), name)


def require_root(what: str, command: str, user_id: int | None = None) -> None:
    """A Refusal unless this is root: `what` needs it, `command` is how to run it again."""
    if (os.geteuid() if user_id is None else user_id) != 0:
        raise Refusal(f"{what} needs root. Run it again as: sudo {command}")


def has_systemd() -> bool:
    """True where systemd is the running init, as sd_booted(3) tells it."""
    return Path("/run/systemd/system").is_dir()


def which(program: str) -> str | None:
    """The program's path; also looks where daemons live, which a plain user's PATH may lack."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def succeeds(command: Sequence[str], seconds: float = 20) -> bool:
    """True if the command ends well in that time. Its output is thrown away; it may not exist."""
    try:
        return (
            subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(command: Sequence[str], remedy: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Runs to the end with the output kept; a Refusal with its last lines and the remedy if it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            **options,  # type: ignore[call-overload]
        )
    except FileNotFoundError:
        raise Refusal(f"{command[0]} is not on this machine. {remedy}") from None
    except subprocess.TimeoutExpired:
        raise Refusal(f"`{' '.join(command)}` did not end in time. {remedy}") from None
    if done.returncode != 0:
        tail = "\n".join("    " + line for line in done.stdout.strip().splitlines()[-12:])
        raise Refusal(f"`{' '.join(command)}` failed (exit {done.returncode}):\n{tail}\n{remedy}")
    return done
