"""`./slipway users`: has the running hub do something with people, by a program beside it
(slipway_hub/users.py). The hub decides and answers; here is which hub, and what becomes of the files of
somebody who is removed.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.launcher import compose, engine
from infra.launcher.problem import FAILED, Problem
from infra.launcher.progress import Screen
from infra.launcher.settings import Settings
from infra.launcher.shell import Answer

MODULE = ("python", "-m", "slipway_hub.users")

Hub = Callable[[Sequence[str]], Answer]
"""Runs the program with these arguments beside the hub."""


def run(options: argparse.Namespace, hub: Hub, delete: Callable[[str], None], screen: Screen) -> int:
    """`delete` is given where the files of the person who was removed are."""
    with_files = getattr(options, "files", False)
    asked = [*words(options), *(["--json"] if with_files else [])]
    answer = hub(asked)
    if not answer.ok:
        raise Problem(answer.last_words(4), status=FAILED)
    if not with_files:
        screen.say(answer.out.rstrip("\n"))
        return 0
    files = json.loads(answer.out).get("files")
    if files:
        delete(files)
        screen.say(f"The account {options.name} is gone, and its files in {files} are deleted.")
    else:
        screen.say(f"The account {options.name} is gone; it had no files.")
    return 0


def words(options: argparse.Namespace) -> list[str]:
    """What the program beside the hub is called with."""
    flags = [f"--{flag}" for flag in ("admin", "remove", "json") if getattr(options, flag, False)]
    return [options.action, *([options.name] if options.action != "list" else []), *flags]


def hub_of_stack(chosen: Settings) -> Hub:
    engine.look()
    here = engine.containers(chosen.project)
    if not any(one.service == "hub" and one.state == "running" for one in here):
        raise Problem("The hub is not running.", "`./slipway up` starts it.")
    return lambda arguments: compose.execute(chosen.project, "hub", [*MODULE, *arguments])


def delete_volume(volume: str) -> None:
    answer = engine.docker("volume", "rm", volume)
    if not answer.ok and "no such volume" not in answer.err.lower():
        raise Problem(
            f"The account is gone, but its files stay: {answer.last_words(2)}",
            f"Try again with `docker volume rm {volume}`.",
        )


def delete_folder(folder: str) -> None:
    if Path(folder).is_dir():
        shutil.rmtree(folder)
