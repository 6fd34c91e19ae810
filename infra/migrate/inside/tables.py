"""Runs in a container of the stack, beside its database: tells what is there, and writes rows, all or none.

    python tables.py look '{"experiments": ["experiment_id", "name"]}'    these columns of these tables
    python tables.py write < LINES

A second database of the service is named last: `permissions` is MLflow's own of who may do what.

LINES are JSON: an object begins a table, each list is a row of it, and the object with `end` closes the
whole. Without that one nothing is written, whatever has cut it off. Every row is compared with what Postgres
has kept of it before the transaction ends.

    {"table": "runs", "columns": ["run_uuid", "name"], "if_there": "fail"}
    ["0c1f…", "first"]
    {"end": 1, "instance": "…", "note": {…}}

`if_there` says what becomes of a row whose key is taken: `fail`, `keep` the other, `replace` it, or `add` the
columns that are not of the key. The note is kept in the table slipway_migrated, of the same transaction.
"""

from __future__ import annotations

import base64
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Engine,
    MetaData,
    Table,
    Text,
    create_engine,
    func,
    insert,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError

MARK = "slipway_migrated"
BATCH = 500
PERMISSIONS = "permissions"


def main(arguments: list[str]) -> int:
    which = arguments.pop() if arguments[-1] == PERMISSIONS else ""
    engine = create_engine(address(which), connect_args={"connect_timeout": 10})
    try:
        if arguments[0] == "look":
            answer = look(engine, json.loads(arguments[1]))
        else:
            answer = write(engine, sys.stdin)
    except (SQLAlchemyError, Unequal, Incomplete) as error:
        print(f"nothing was written: {sentence(error)}", file=sys.stderr)
        return 1
    print(json.dumps(answer))
    return 0


class Incomplete(Exception):
    """The lines ended before their end."""


class Unequal(Exception):
    """What Postgres has kept is not what was written."""


def sentence(error: Exception) -> str:
    """The database's own words, without the statement and its thousand values."""
    return str(getattr(error, "orig", None) or error).strip()


def address(which: str) -> str:
    """Of the service in whose container this runs: its own code knows where its password is."""
    if "BACKEND_STORE_URI" in os.environ:
        sys.path.insert(0, "/opt/slipway")
        from slipway_mlflow.settings import auth_database_uri, backend_store_uri

        return auth_database_uri() if which == PERMISSIONS else backend_store_uri()
    if "SERVING_DATABASE_URL" in os.environ:
        from slipway_serving.settings import read_settings

        return read_settings().database.render_as_string(hide_password=False)
    from slipway_hub.settings import settings_or_exit

    return settings_or_exit().database_url


def look(engine: Engine, wanted: dict[str, list[str]]) -> dict[str, Any]:
    tables = reflected(engine)
    with engine.connect() as connection:
        return {
            "tables": [description(connection, table) for table in tables.sorted_tables],
            "rows": {
                name: [
                    list(row)
                    for row in connection.execute(select(*(tables.tables[name].c[c] for c in columns)))
                ]
                for name, columns in wanted.items()
                if name in tables.tables
            },
            "marks": marks(connection, tables),
        }


def description(connection: Connection, table: Table) -> dict[str, Any]:
    serial = {
        column.name: connection.scalar(select(func.max(column))) or 0 for column in serials(connection, table)
    }
    count = connection.scalar(select(func.count()).select_from(table))
    return {"name": table.name, "columns": [c.name for c in table.columns], "count": count, "serial": serial}


def serials(connection: Connection, table: Table) -> list[Column[Any]]:
    """Columns that Postgres numbers by itself."""
    ask = text("SELECT pg_get_serial_sequence(quote_ident(:table), :column)")
    return [
        column
        for column in table.primary_key.columns
        if connection.scalar(ask, {"table": table.name, "column": column.name})
    ]


def marks(connection: Connection, tables: MetaData) -> dict[str, Any]:
    """What was brought here before: the note of each instance."""
    if MARK not in tables.tables:
        return {}
    rows = connection.execute(select(tables.tables[MARK])).mappings()
    return {row["instance"]: {"at": row["at"], **json.loads(row["note"])} for row in rows}


def reflected(engine: Engine) -> MetaData:
    tables = MetaData()
    tables.reflect(engine)
    return tables


def write(engine: Engine, lines: Iterable[str]) -> dict[str, Any]:
    tables, counts = reflected(engine), {}
    with engine.begin() as connection:
        parsed = (json.loads(line) for line in lines)
        end = None
        for head, rows in sections(parsed):
            if "end" in head:
                end = head
                break
            table = tables.tables[head["table"]]
            counts[table.name] = write_table(connection, table, head, rows)
        if end is None or end["end"] != sum(counts.values()):
            raise Incomplete("the data broke off before its end")
        for name in counts:
            continue_numbers(connection, tables.tables[name])
        leave_mark(connection, end["instance"], {**end["note"], "counts": counts})
    return {"counts": counts}


def sections(parsed: Iterable[Any]) -> Iterator[tuple[dict[str, Any], Iterator[list[Any]]]]:
    """Each head with an iterator over its rows, which must be used up before the next head."""
    stream = iter(parsed)
    head = next(stream, None)
    while head is not None:
        following: list[Any] = []

        def rows(following: list[Any] = following) -> Iterator[list[Any]]:
            for entry in stream:
                if isinstance(entry, dict):
                    following.append(entry)
                    return
                yield entry

        yield head, rows()
        head = following[0] if following else None


def write_table(connection: Connection, table: Table, head: dict[str, Any], rows: Iterator[list[Any]]) -> int:
    if head["if_there"] != "fail":
        connection.execute(text(f'LOCK TABLE "{table.name}" IN SHARE ROW EXCLUSIVE MODE'))
    columns, count = [table.c[name] for name in head["columns"]], 0
    for column in columns:
        if isinstance(column.type, JSON):
            column.type.none_as_null = True
    for batch in batches(rows):
        values = [
            {column.name: parsed(column, value) for column, value in zip(columns, row, strict=True)}
            for row in batch
        ]
        write_batch(connection, table, values, head["if_there"])
        count += len(values)
    return count


def write_batch(connection: Connection, table: Table, values: list[dict[str, Any]], if_there: str) -> None:
    there = {} if if_there == "fail" else read(connection, table, values)
    if if_there == "keep":
        values = [row for row in values if key(table, row) not in there]
    elif if_there == "add":
        for row in values:
            old = there.get(key(table, row), {})
            row.update(
                {name: row[name] + old[name] for name in row if old and name not in table.primary_key.columns}
            )
    if not values:
        return
    order = upsert(table)
    if there:
        changed = {name: order.excluded[name] for name in values[0] if name not in table.primary_key.columns}
        order = order.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed)
    kept = connection.execute(order.returning(*(table.c[name] for name in values[0])), values).mappings()
    compare(table, values, {key(table, row): row for row in kept})


def read(connection: Connection, table: Table, values: list[dict[str, Any]]) -> dict[tuple, dict[str, Any]]:
    """The rows of the database with the keys of these, by key."""
    keys = list(table.primary_key.columns)
    wanted = tuple_(*keys).in_([key(table, row) for row in values])
    found = connection.execute(select(*(table.c[name] for name in values[0])).where(wanted)).mappings()
    return {key(table, row): dict(row) for row in found}


def key(table: Table, row: Any) -> tuple:
    return tuple(row[column.name] for column in table.primary_key.columns)


def compare(table: Table, values: list[dict[str, Any]], found: dict[tuple, dict[str, Any]]) -> None:
    for row in values:
        back = found.get(key(table, row))
        for name, value in row.items():
            if back is None or not equal(value, back[name]):
                raise Unequal(f"{table.name} {key(table, row)}: {name} was not kept as it was written")


def equal(written: Any, back: Any) -> bool:
    if isinstance(back, memoryview):
        back = bytes(back)
    if isinstance(written, float) and isinstance(back, float) and math.isnan(written):
        return math.isnan(back)
    return bool(written == back)


def parsed(column: Column[Any], value: Any) -> Any:
    """SQLite keeps numbers for booleans and text for times and JSON."""
    if value is None:
        return None
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    if isinstance(column.type, Boolean):
        return bool(value)
    if isinstance(column.type, DateTime):
        return datetime.fromisoformat(value)
    if isinstance(column.type, Date):
        return date.fromisoformat(value)
    if isinstance(column.type, JSON):
        return json.loads(value)
    if column.type.python_type is float:
        return float(value)
    return value


def batches(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def continue_numbers(connection: Connection, table: Table) -> None:
    """The next number that Postgres gives must be a new one."""
    for column in serials(connection, table):
        highest = connection.scalar(select(func.max(column)))
        if highest is not None:
            sequence = func.pg_get_serial_sequence(f'"{table.name}"', column.name)
            connection.execute(select(func.setval(sequence, max(highest, 1))))


def leave_mark(connection: Connection, instance: str, note: dict[str, Any]) -> None:
    columns = (Column("instance", Text, primary_key=True), Column("at", Text), Column("note", Text))
    table = Table(MARK, MetaData(), *columns)
    table.create(connection, checkfirst=True)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    # A second writer of the same instance fails here, with all that it has written.
    connection.execute(insert(table), {"instance": instance, "at": at, "note": json.dumps(note)})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
