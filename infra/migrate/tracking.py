"""Experiments, runs, registered models and all else that MLflow keeps in its database, row by row.

Both sides have the same MLflow, and artifact addresses are relative to the server, so rows keep their ids and
hold as they are. Only a stack with work of its own asks for other names and numbers (names.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from infra.migrate.names import Names, changes, renamed
from infra.migrate.source import Source
from infra.migrate.stores import BEYOND_WORK, Looked, Section, same_columns

DATABASE, SERVICE = "tracking", "mlflow"
AT_WORK = {"scheduler_leases", "job_locks", "jobs"}
"""What some server was doing at that moment; nothing for another one to go on with."""
WANTED = {
    "experiments": ["experiment_id", "name"],
    "registered_models": ["name"],
    "alembic_version": ["version_num"],
}
DEFAULT = 0
"""The id of the experiment that every MLflow has."""


def is_current(source: Source, there: Looked) -> bool:
    """Whether both databases are of the same MLflow."""
    mine = source.query(DATABASE, "SELECT version_num FROM alembic_version")
    return sorted(row[0] for row in mine) == sorted(row[0] for row in there.rows["alembic_version"])


def other_work(there: Looked) -> list[str]:
    """What somebody has made in the stack, in words; nothing if it is as new."""
    found = []
    experiments = [name for number, name in there.rows["experiments"] if number != DEFAULT]
    if experiments:
        found.append(f"experiments ({some(experiments)})")
    models = [name for (name,) in there.rows["registered_models"]]
    if models:
        found.append(f"registered models ({some(models)})")
    if there.tables["runs"].count:
        found.append(f"{there.tables['runs'].count} runs")
    own = {"experiments", "registered_models", "runs", "workspaces", *BEYOND_WORK, *AT_WORK}
    others = [name for name, table in there.tables.items() if table.count and name not in own]
    return found or ([f"rows in {some(others)}"] if others else [])


def some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def names_for(source: Source, there: Looked) -> Names:
    """What must be renamed and renumbered to come in beside other work."""
    experiments = [row[0] for row in source.query(DATABASE, "SELECT name FROM experiments")]
    if not default_is_used(source):
        experiments.remove(name_of_default(source))
    models = [row[0] for row in source.query(DATABASE, "SELECT name FROM registered_models")]
    highest = {name: max(table.serial.values()) for name, table in there.tables.items() if table.serial}
    return Names(
        experiments=renamed(experiments, [name for _, name in there.rows["experiments"]]),
        models=renamed(models, [name for (name,) in there.rows["registered_models"]]),
        # One more, for the default experiment's 0, which is to become a number of its own.
        shift={name: number + 1 for name, number in highest.items()},
    )


def name_of_default(source: Source) -> str:
    return str(source.query(DATABASE, "SELECT name FROM experiments WHERE experiment_id = ?", DEFAULT)[0][0])


def default_is_used(source: Source) -> bool:
    for table, columns in source.columns(DATABASE).items():
        if "experiment_id" in columns and table != "experiments":
            statement = f'SELECT 1 FROM "{table}" WHERE experiment_id = ? LIMIT 1'  # noqa: S608 (MLflow's own names)
            if source.query(DATABASE, statement, DEFAULT):
                return True
    return False


def sections(source: Source, there: Looked, names: Names) -> Iterator[Section]:
    left_out = {*BEYOND_WORK, *AT_WORK}
    beside_others = bool(names.shift)
    for table in same_columns(source, DATABASE, there, left_out):
        columns = there.tables[table].columns
        rows, change = source.rows(DATABASE, table, columns), changes(table, columns, names)
        if table == "experiments" and beside_others and not default_is_used(source):
            place = columns.index("experiment_id")
            rows = (row for row in rows if row[place] != DEFAULT)
        # The stack has a default experiment and a default workspace from the beginning.
        if_there = {"experiments": "fail" if beside_others else "replace", "workspaces": "keep"}
        yield Section(table, columns, (change(row) for row in rows), if_there.get(table, "fail"))


def counts(source: Source, there: Looked) -> dict[str, int]:
    """Rows by table, as they are embedded."""
    tables = same_columns(source, DATABASE, there, {*BEYOND_WORK, *AT_WORK})
    return {table: source.count(DATABASE, table) for table in tables}


def kept_elsewhere(source: Source) -> int:
    """Runs whose artifacts are not with this platform's MLflow: another server wrote into its database."""
    statement = "SELECT count(*) FROM runs WHERE artifact_uri NOT LIKE 'mlflow-artifacts:/%'"
    return int(source.query(DATABASE, statement)[0][0])
