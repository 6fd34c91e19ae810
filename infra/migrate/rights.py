"""Who may do what in MLflow: its users, roles and grants, so that people go on managing what they made.

Grants name experiments by number and models by name; both may be others in the stack (names.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infra.migrate.names import Names
from infra.migrate.source import Source
from infra.migrate.stores import Looked, Section

DATABASE, SERVICE = "permissions", "mlflow"
WANTED = {
    "users": ["id", "username"],
    "roles": ["id", "workspace", "name"],
    "role_permissions": ["role_id", "resource_type", "resource_pattern"],
    "user_role_assignments": ["user_id", "role_id"],
}
BUILT_IN = {"_slipway", "_serving"}
"""Each side has its own."""
OF_ONE_USER = re.compile(r"__user_(\d+)__")
"""The role in which MLflow keeps what is granted to one user alone."""
NAMED = {"registered_model", "prompt"}


def sections(source: Source, there: Looked, names: Names) -> Iterator[Section]:
    """Who and what is there already under its name is taken for the same."""
    users, roles = Numbers(there, "users", 1), Numbers(there, "roles", 2)
    kept: dict[str, list[dict[str, Any]]] = {table: [] for table in WANTED}
    for row in rows(source, there, "users"):
        if row["username"] not in BUILT_IN:
            name = names.users.get(row["username"], row["username"])
            if users.give(row["id"], (name,)):
                kept["users"].append({**row, "username": name, "id": users.new[row["id"]]})
    for row in rows(source, there, "roles"):
        own = OF_ONE_USER.fullmatch(row["name"])
        if own and int(own[1]) not in users.new:
            continue
        name = f"__user_{users.new[int(own[1])]}__" if own else row["name"]
        if roles.give(row["id"], (row["workspace"], name)):
            kept["roles"].append({**row, "name": name, "id": roles.new[row["id"]]})
    granted = {tuple(row) for row in there.rows["role_permissions"]}
    for row in rows(source, there, "role_permissions"):
        if row["role_id"] in roles.new:
            pattern = resource(row["resource_type"], row["resource_pattern"], names)
            role = roles.new[row["role_id"]]
            if (role, row["resource_type"], pattern) not in granted:
                number = there.tables["role_permissions"].serial["id"] + row["id"]
                kept["role_permissions"].append(
                    {**row, "id": number, "role_id": role, "resource_pattern": pattern}
                )
    assigned = {tuple(row) for row in there.rows["user_role_assignments"]}
    for row in rows(source, there, "user_role_assignments"):
        pair = (users.new.get(row["user_id"]), roles.new.get(row["role_id"]))
        if None not in pair and pair not in assigned:
            number = there.tables["user_role_assignments"].serial["id"] + row["id"]
            kept["user_role_assignments"].append(
                {**row, "id": number, "user_id": pair[0], "role_id": pair[1]}
            )
    for table, found in kept.items():
        columns = there.tables[table].columns
        yield Section(table, columns, ([row[name] for name in columns] for row in found))


class Numbers:
    """Old numbers to new ones, of a table whose rows are known by a name: there already, or a new one."""

    def __init__(self, there: Looked, table: str, length: int) -> None:
        self._there = {tuple(row[1 : 1 + length]): row[0] for row in there.rows[table]}
        self._first = there.tables[table].serial["id"]
        self.new: dict[int, int] = {}

    def give(self, old: int, name: tuple) -> bool:
        """Whether the row is a new one."""
        found = self._there.get(name)
        self.new[old] = self._first + old if found is None else found
        return found is None


def rows(source: Source, there: Looked, table: str) -> Iterator[dict[str, Any]]:
    columns = there.tables[table].columns
    if table in source.columns(DATABASE):
        for row in source.rows(DATABASE, table, columns):
            yield dict(zip(columns, row))  # noqa: B905 (Python 3.9 has no `strict`)


def resource(kind: str, pattern: str, names: Names) -> str:
    """What a grant is for, as the stack calls it."""
    shift = names.shift.get("experiments", 0)
    if kind == "experiment" and pattern != "*":
        return str(int(pattern) + shift)
    if kind == "scorer" and "/" in pattern:
        number, rest = pattern.split("/", 1)
        return f"{int(number) + shift}/{rest}"
    return names.models.get(pattern, pattern) if kind in NAMED else pattern
