"""Builds our own images, and knows when there is nothing to build: those there were made of the same
sources.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

from infra.launcher import compose, engine
from infra.launcher.compose import Plan
from infra.launcher.paths import LOGS, ROOT, STATE, ensure_state, short
from infra.launcher.problem import Problem
from infra.launcher.progress import Screen, seconds
from infra.launcher.shell import last_lines

NOTES = STATE / "build.json"
LOG = LOGS / "build.log"


def is_needed(plan: Plan) -> bool:
    """True unless the images there are those which the last build made of the very same sources."""
    try:
        noted = json.loads(NOTES.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return noted != _notes(plan, digest(ROOT, plan)) or len(noted["images"]) < len(plan.built_images())


def run(plan: Plan, screen: Screen) -> None:
    """Builds every image that needs it. A Problem shows the end of the log."""
    ensure_state()
    began, steps = time.monotonic(), Steps()
    # Taken before: a file that is changed while images are built is to be built again.
    sources = digest(ROOT, plan)
    try:
        for line in compose.build(plan.project, LOG):
            done = steps.feed(line)
            if done:
                screen.say(f"  {done}")
            screen.draw(
                [
                    f"  building: {steps.now}",
                    f"  {steps.count} steps done, {seconds(time.monotonic() - began)}",
                ]
            )
    except Problem as problem:
        screen.clear()
        said = "\n".join(f"    {line}" for line in last_lines(LOG, 15))
        raise Problem(
            f"An image could not be built. The end of the log:\n{said}",
            f"All of it is in {short(LOG)}. Nothing was started, and what was built is kept: "
            "run the same command again when the cause is gone. Where no mirror was reached, see that "
            "apt-get and pip work on this machine.",
        ) from problem
    screen.clear()
    _write_notes(plan, sources)
    screen.good(f"images are built ({seconds(time.monotonic() - began)})")


def _notes(plan: Plan, sources: str) -> dict[str, object]:
    return {
        "sources": sources,
        "bases": engine.image_ids(plan.pulled_images()),
        "images": engine.image_ids(plan.built_images()),
    }


def _write_notes(plan: Plan, sources: str) -> None:
    fresh = NOTES.with_suffix(".new")
    fresh.write_text(json.dumps(_notes(plan, sources), indent=1), encoding="utf-8")
    os.replace(fresh, NOTES)


def digest(root: Path, plan: Plan) -> str:
    """Of everything a build can see: each file's path, whether it can be executed, its content; and the
    arguments.
    """
    whole = hashlib.sha256()
    for path in context(root):
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        mark = "x" if path.is_symlink() or os.access(path, os.X_OK) else "-"
        whole.update(f"{path.relative_to(root)}\0{mark}\0{len(content)}\0".encode() + content)
    whole.update(json.dumps([[one.image, one.build] for one in plan.services], sort_keys=True).encode())
    return whole.hexdigest()


def context(root: Path) -> Iterator[Path]:
    """The files of the build context, sorted. Of .dockerignore's language it knows what ours uses: `*`,
    `!name` at the top and `**/pattern` anywhere; what it does not know it takes in, which costs a build that
    finds its cache."""
    try:
        lines = (root / ".dockerignore").read_text(encoding="utf-8").split("\n")
    except OSError:
        lines = []
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    everywhere = [rule[3:] for rule in rules if rule.startswith("**/")]
    if rules and rules[0] == "*":
        tops = [rule[1:] for rule in rules if rule.startswith("!")]
    else:
        tops = [path.name for path in root.iterdir() if path.name not in (".git", ".slipway")]
    if rules:
        yield root / ".dockerignore"
    for top in sorted(tops):
        yield from _walk(root / top, everywhere)


def _walk(path: Path, left_out: list[str]) -> Iterator[Path]:
    if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in left_out):
        return
    if path.is_dir() and not path.is_symlink():
        for inner in sorted(path.iterdir()):
            yield from _walk(inner, left_out)
    elif path.is_file() or path.is_symlink():
        yield path


class Steps:
    """Follows BuildKit's plain progress: `#7 [mlflow 3/9] RUN …`, then `#7 DONE 3.2s`, `#7 CACHED` or `#7
    ERROR: …`.
    """

    _STEP = re.compile(r"^#(\d+) \[([^\]]+?)\s+(\d+/\d+)\] (.*)$")
    _END = re.compile(r"^#(\d+) (DONE (\d+\.\d+)s|CACHED|ERROR.*|CANCELED)$")

    def __init__(self) -> None:
        self.count = 0
        self.now = "reading the sources"
        self._titles: dict[str, str] = {}

    def feed(self, line: str) -> str | None:
        """Takes a line; answers with words for a step that has just ended and took more than a moment."""
        step = self._STEP.match(line)
        if step:
            number, image, part, command = step.groups()
            self._titles[number] = self.now = f"{image} {part}  {' '.join(command.split())}"[:110]
            return None
        end = self._END.match(line)
        if not end or end.group(1) not in self._titles:
            return None
        self.count += 1
        title = self._titles.pop(end.group(1))
        # Say what is at work still, rather than what has just ended.
        self.now = next(reversed(self._titles.values()), self.now)
        took = float(end.group(3) or 0)
        return f"{took:6.1f} s  {title}" if took >= 1 else None
