"""How often each version of a model has answered: serving's counts, added to what the stack has."""

from __future__ import annotations

from collections.abc import Iterator

from infra.migrate.names import Names
from infra.migrate.source import Source
from infra.migrate.stores import Section

DATABASE, SERVICE = "visitors", "serving"
TABLES = {
    "visitors": ["model", "version", "count"],
    # By whom they were asked too; the source tells apart who has counted.
    "visitor_counts": ["source", "model", "version", "caller_kind", "caller", "count"],
}


def sections(source: Source, names: Names) -> Iterator[Section]:
    for table, columns in TABLES.items():
        rows = source.rows(DATABASE, table, columns) if table in source.columns(DATABASE) else ()
        model = columns.index("model")
        renamed = [
            [*row[:model], names.models.get(row[model], row[model]), *row[model + 1 :]] for row in rows
        ]
        yield Section(table, columns, renamed, if_there="add")


def total(source: Source) -> int:
    return sum(
        count
        for table in TABLES
        if table in source.columns(DATABASE)
        for (count,) in source.rows(DATABASE, table, ["count"])
    )
