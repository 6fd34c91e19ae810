"""The hub's users: names, administrators, groups, passwords as they are kept; no tokens, no sessions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from infra.migrate.names import USER_NAME, Names, renamed
from infra.migrate.source import Source
from infra.migrate.stores import Looked, Section

DATABASE, SERVICE = "hub", "hub"
TABLES = ("users", "groups", "user_group_map", "users_info")
WANTED = {"users": ["id", "name"], "users_info": ["username"], "groups": ["id", "name"]}
SECRET = {"encrypted_auth_state"}
"""Only the hub that wrote it has the key."""


def known(source: Source) -> list[str]:
    """Who has an account, or has asked for one."""
    rows = source.query(DATABASE, "SELECT name FROM users UNION SELECT username FROM users_info")
    return sorted(row[0] for row in rows)


def administrators(source: Source) -> list[str]:
    return sorted(row[0] for row in source.query(DATABASE, "SELECT name FROM users WHERE admin"))


def homes_without_account(source: Source) -> list[str]:
    """They are left: each would become the next person's who takes that name."""
    homes = source.instance.homes
    there = [path.name for path in homes.iterdir() if path.is_dir()] if homes.is_dir() else []
    return sorted(set(there) - set(known(source)))


def theirs(there: Looked) -> set[str]:
    return {row[1] for row in there.rows["users"]} | {row[0] for row in there.rows.get("users_info", [])}


def other_work(there: Looked, first_administrator: str) -> list[str]:
    users = sorted(theirs(there) - {first_administrator})
    groups = [row[1] for row in there.rows["groups"]]
    found = [f"users ({', '.join(users[:5])})"] if users else []
    return found + ([f"groups ({', '.join(groups[:5])})"] if groups else [])


def names_for(source: Source, there: Looked) -> Names:
    return Names(users=renamed(known(source), theirs(there), USER_NAME))


def sections(source: Source, there: Looked, names: Names) -> Iterator[Section]:
    """Who is not renamed and is there already is the stack's first administrator, and stays as they are."""
    numbers = {name: number for number, name in there.rows["users"]}
    first = there.tables["users"].serial["id"]
    ids: dict[int, int] = {}
    users = Rows(source, there, "users")
    kept = []
    for row in users:
        name = names.users.get(row["name"], row["name"])
        ids[row["id"]] = numbers.get(name, first + row["id"])
        if name not in numbers:
            blank = {column: None for column in SECRET if column in row}
            kept.append({**row, **blank, "name": name, "id": ids[row["id"]]})
    yield users.section(kept)
    groups = Rows(source, there, "groups")
    group_numbers = {name: number for number, name in there.rows["groups"]}
    group_ids: dict[int, int] = {}
    kept = []
    for row in groups:
        group_ids[row["id"]] = group_numbers.get(row["name"], there.tables["groups"].serial["id"] + row["id"])
        if row["name"] not in group_numbers:
            kept.append({**row, "id": group_ids[row["id"]]})
    yield groups.section(kept)
    members = Rows(source, there, "user_group_map")
    yield members.section(
        {"user_id": ids[row["user_id"]], "group_id": group_ids[row["group_id"]]} for row in members
    )
    # Where people log in at a company's provider, the hub keeps no passwords.
    if "users_info" in there.tables:
        accounts, kept = Rows(source, there, "users_info"), []
        has_account = {row[0] for row in there.rows["users_info"]}
        first = there.tables["users_info"].serial["id"]
        for row in accounts:
            name = names.users.get(row["username"], row["username"])
            if name not in has_account:
                kept.append({**row, "username": name, "id": first + row["id"]})
        yield accounts.section(kept)


class Rows:
    """A table's rows by the names of the columns that both sides have."""

    def __init__(self, source: Source, there: Looked, table: str) -> None:
        mine = source.columns(DATABASE).get(table, [])
        self.table, self.source = table, source
        self.columns = [column for column in there.tables[table].columns if column in mine]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if self.columns:
            for row in self.source.rows(DATABASE, self.table, self.columns):
                yield dict(zip(self.columns, row))  # noqa: B905 (Python 3.9 has no `strict`)

    def section(self, rows: Any) -> Section:
        return Section(self.table, self.columns, ([row[name] for name in self.columns] for row in rows))


def counts(source: Source) -> dict[str, int]:
    there = source.columns(DATABASE)
    return {table: source.count(DATABASE, table) for table in TABLES if table in there}
