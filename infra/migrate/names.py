"""What comes in under another name, because the stack has one of that name already."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

SUFFIX = "-embedded"
USER_NAME = 64
"""Characters that the hub allows."""
OF_MODELS = (
    "registered_models",
    "registered_model_tags",
    "registered_model_aliases",
    "model_versions",
    "model_version_tags",
)
Row = list
Change = Callable[[Any], Any]


class Names(NamedTuple):
    """Old names to new ones; what is not in here keeps its name."""

    experiments: Mapping[str, str] = {}
    models: Mapping[str, str] = {}
    users: Mapping[str, str] = {}
    shift: Mapping[str, int] = {}
    """For tables whose rows are numbered: what is added to their numbers, so that both sides' have room."""


def renamed(mine: Iterable[str], theirs: Iterable[str], longest: int = 250) -> dict[str, str]:
    """`red-blue-embedded` for `red-blue` where both sides have it, with a number if even that is taken."""
    mine, changes = list(mine), {}
    taken = set(theirs) | set(mine)
    for name in sorted(set(mine) & set(theirs)):
        number, new = 1, cut(name, SUFFIX, longest)
        while new in taken:
            number += 1
            new = cut(name, f"{SUFFIX}-{number}", longest)
        taken.add(new)
        changes[name] = new
    return changes


def cut(name: str, suffix: str, longest: int) -> str:
    return name[: longest - len(suffix)] + suffix


def changes(table: str, columns: list[str], names: Names) -> Callable[[Row], Row]:
    """What is to be done to each row of a table of MLflow."""
    steps: list[tuple[int, Change]] = []
    shift = names.shift.get("experiments", 0)
    for place, column in enumerate(columns):
        if column == "experiment_id" and shift:
            steps.append((place, lambda value: None if value is None else value + shift))
        elif column == "id" and names.shift.get(table):
            steps.append((place, lambda value: value + names.shift[table]))
        elif column == "name" and table == "experiments" and names.experiments:
            steps.append((place, lambda value: names.experiments.get(value, value)))
        elif column == "name" and table in OF_MODELS and names.models:
            steps.append((place, lambda value: names.models.get(value, value)))
        elif column == "source" and table == "model_versions" and names.models:
            steps.append((place, lambda value: source_of(value, names.models)))

    def change(row: Row) -> Row:
        for place, step in steps:
            row[place] = step(row[place])
        if table == "logged_model_tags" and names.models:
            known_versions(row, columns, names.models)
        elif table == "entity_associations" and shift:
            associated(row, columns, shift)
        return row

    return change


def source_of(source: str | None, models: Mapping[str, str]) -> str | None:
    """A version that was copied from another names it: models:/NAME/VERSION."""
    match = re.fullmatch(r"models:/(.+)/(\d+)", source or "")
    return f"models:/{models.get(match[1], match[1])}/{match[2]}" if match else source


def known_versions(row: Row, columns: list[str], models: Mapping[str, str]) -> None:
    """A logged model's tag says under which names it is registered."""
    place = columns.index("tag_value")
    if row[columns.index("tag_key")] != "mlflow.modelVersions":
        return
    try:
        versions = json.loads(row[place])
        row[place] = json.dumps([{**one, "name": models.get(one["name"], one["name"])} for one in versions])
    except (ValueError, TypeError, KeyError):  # somebody's own text
        return


def associated(row: Row, columns: list[str], shift: int) -> None:
    for end in ("source", "destination"):
        place = columns.index(f"{end}_id")
        if row[columns.index(f"{end}_type")] == "experiment":
            row[place] = str(int(row[place]) + shift)


def told(names: Names) -> list[str]:
    """For people."""
    kinds = (("experiment", names.experiments), ("model", names.models), ("user", names.users))
    return [f"{kind} {old} is {new} there" for kind, pairs in kinds for old, new in pairs.items()]
