"""What was brought and whether both sides agree, in plain words; and the note that it is done."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from infra.launcher.progress import Screen
from infra.migrate import people, tracking, visitors
from infra.migrate.names import Names, told
from infra.migrate.predictions import Expected
from infra.migrate.source import Source

LINES = (
    ("experiments", "experiments"),
    ("runs", "runs"),
    ("metrics", "values of metrics"),
    ("logged_models", "logged models"),
    ("registered_models", "registered models"),
    ("model_versions", "their versions"),
    ("registered_model_aliases", "aliases"),
    ("trace_info", "traces"),
)


class Files(NamedTuple):
    artifacts: int
    homes: Mapping[str, str]
    """By user, the folder of the home in the stack that it is in."""


class Done(NamedTuple):
    source: Source
    names: Names
    files: Files
    counts: Mapping[str, Mapping[str, int]]
    """Rows by database and table, written and equal."""
    answers: Sequence[Expected]
    unequal: Mapping[str, str]
    """By model, what its prediction in the stack is instead."""
    missing: Sequence[str]
    """Rows that are not in the stack any more, in words."""

    @property
    def wrong(self) -> list[str]:
        return [*self.missing, *self.unequal.values()]


def show(done: Done, first_administrator: str, screen: Screen) -> None:
    screen.say()
    for line in table(done):
        screen.say(f"  {line}")
    for line in remarks(done, first_administrator):
        screen.say(f"  {line}")
    screen.say()
    for line in done.wrong:
        screen.bad(line)
    if done.wrong:
        screen.say(
            "Nothing is lost: the embedded platform is as it was. Correct that and run the command again."
        )


def table(done: Done) -> Iterator[str]:
    yield f"{'':<20}{'embedded':>12}{'stack':>12}"
    for name, words in LINES:
        here, there = done.source.count("tracking", name), done.counts["tracking"].get(name, 0)
        if here or there:
            yield f"{words:<20}{here:>12,}{there:>12,}"
    yield f"{'artifacts':<20}{done.files.artifacts:>12,}{done.files.artifacts:>12,}"
    yield f"{'homes':<20}{len(done.files.homes):>12,}{len(done.files.homes):>12,}"
    accounts = people.counts(done.source).get("users_info", 0)
    yield f"{'accounts':<20}{accounts:>12,}{done.counts['hub'].get('users_info', 0):>12,}"
    if answered := visitors.total(done.source):
        yield f"{'predictions counted':<20}{answered:>12,}{answered:>12,}"
    for one in done.answers:
        agrees = "NOT equal" if one.model in done.unequal else "equal"
        words = f"not compared: {one.none}" if one.none else agrees
        yield f"prediction of {one.model} version {one.version}: {words}"


def remarks(done: Done, first_administrator: str) -> Iterator[str]:
    """What somebody must know who goes on in the stack."""
    yield from told(done.names)
    for user, folder in done.files.homes.items():
        if folder != ".":
            yield f"the files of {user} are in ~/{folder}"
    for user in people.administrators(done.source):
        name = done.names.users.get(user, user)
        if name == first_administrator:
            yield f"{name} keeps the password of the stack (`./slipway admin-password --docker`)"
        else:
            yield (
                f"{name} is an administrator in the stack too, with the password from here: "
                "`./slipway admin-password --embedded`, unless it was changed"
            )
    if elsewhere := tracking.kept_elsewhere(done.source):
        yield f"{elsewhere} runs keep their artifacts outside of this platform; those files were not taken"
    if left := people.homes_without_account(done.source):
        yield f"homes without an account were not taken: {', '.join(left)}"


def note(done: Done) -> None:
    """migrated.json in the instance's folder: from then on the stack is the project's way."""
    path = done.source.instance.folder / "migrated.json"
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    content = {"to": "docker", "at": at, "counts": done.counts, "names": done.names._asdict()}
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(temporary, path)
