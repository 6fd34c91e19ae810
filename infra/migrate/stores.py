"""Looks into a database of the stack and writes rows into it, through the service that owns it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, Any, NamedTuple

from infra.launcher.problem import PRECONDITION, Problem
from infra.migrate.source import Source
from infra.migrate.talk import in_service

MARK = "slipway_migrated"
BEYOND_WORK = {"alembic_version", MARK}
"""Tables that say nothing of whether somebody has worked there."""


class Table(NamedTuple):
    columns: list[str]
    count: int
    serial: dict[str, int]
    """The highest number so far, of each column that Postgres numbers."""


class Looked(NamedTuple):
    tables: dict[str, Table]
    """In an order in which each comes after those it refers to."""
    rows: dict[str, list[list[Any]]]
    marks: dict[str, Any]
    """What instances brought before."""


class Section(NamedTuple):
    """Rows for one table; what `if_there` may be: inside/tables.py."""

    table: str
    columns: list[str]
    rows: Iterable[list[Any]]
    if_there: str = "fail"


Progress = Callable[[str], None]


def look(project: str, service: str, wanted: Mapping[str, list[str]], *database: str) -> Looked:
    """`database`: of a service that has more than one, which; inside/tables.py knows their names."""
    return looked(in_service(project, service, "tables", "look", json.dumps(wanted), *database))


def looked(answer: str) -> Looked:
    told = json.loads(answer)
    tables = {one["name"]: Table(one["columns"], one["count"], one["serial"]) for one in told["tables"]}
    return Looked(tables, told["rows"], told["marks"])


def write(
    project: str,
    service: str,
    sections: Iterable[Section],
    instance: str,
    note: Mapping[str, Any],
    progress: Progress,
    *database: str,
) -> dict[str, int]:
    """All in one transaction, with the mark; the number of rows written and equal, by table."""

    def feed(stream: IO[bytes]) -> None:
        for line in lines(sections, instance, note, progress):
            stream.write(line.encode("utf-8"))

    answer = json.loads(in_service(project, service, "tables", "write", *database, feed=feed))
    return dict(answer["counts"])


def lines(
    sections: Iterable[Section], instance: str, note: Mapping[str, Any], progress: Progress
) -> Iterator[str]:
    total = 0
    for section in sections:
        head = {"table": section.table, "columns": section.columns, "if_there": section.if_there}
        yield json.dumps(head) + "\n"
        for row in section.rows:
            total += 1
            if total % 10_000 == 0:
                progress(f"{section.table}: {total:,} rows in all")
            yield json.dumps(row) + "\n"
    yield json.dumps({"end": total, "instance": instance, "note": dict(note)}) + "\n"


def same_columns(source: Source, database: str, there: Looked, left_out: Iterable[str]) -> list[str]:
    """The tables to copy, in the stack's order; a Problem if the two sides' tables are not alike."""
    mine = source.columns(database)
    names = [name for name in there.tables if name in mine and name not in left_out]
    unlike = [name for name in names if set(mine[name]) != set(there.tables[name].columns)]
    unlike += [name for name in mine if name not in there.tables and name not in left_out]
    filled = [name for name in unlike if source.count(database, name)]
    if filled:
        raise Problem(
            f"Embedded and stack have different tables: {', '.join(sorted(filled))}.",
            "Bring both to the same release: `./slipway up --embedded`, then `./slipway up --docker`.",
            PRECONDITION,
        )
    return [name for name in names if name not in unlike]
