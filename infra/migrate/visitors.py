"""How often each version of a model has answered: serving's counts, added to what the stack has."""

from __future__ import annotations

from collections.abc import Iterator

from infra.migrate.names import Names
from infra.migrate.source import Source
from infra.migrate.stores import Section

DATABASE, SERVICE = "visitors", "serving"
COLUMNS = ["model", "version", "count"]


def sections(source: Source, names: Names) -> Iterator[Section]:
    counts = (
        source.query(DATABASE, "SELECT model, version, count FROM visitors") if has_counts(source) else []
    )
    rows = [[names.models.get(model, model), version, count] for model, version, count in counts]
    yield Section("visitors", COLUMNS, rows, if_there="add")


def total(source: Source) -> int:
    return (
        int(source.query(DATABASE, "SELECT sum(count) FROM visitors")[0][0] or 0) if has_counts(source) else 0
    )


def has_counts(source: Source) -> bool:
    return "visitors" in source.columns(DATABASE)
