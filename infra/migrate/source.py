"""The embedded platform as it was when it was stopped: its databases, artifacts and homes. Only read."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from infra.embedded import environment
from infra.embedded.instance import Instance
from infra.launcher.paths import ROOT
from infra.launcher.problem import Problem
from infra.launcher.shell import ask

DATABASES = {
    "tracking": "mlflow/mlflow.db",
    "hub": "hub/jupyterhub.sqlite",
    "visitors": "serving/visitors.db",
    "permissions": "mlflow/auth.db",
}


class Source(NamedTuple):
    instance: Instance
    folder: Path
    """Where the copies of the databases are."""

    @property
    def artifacts(self) -> Path:
        return self.instance.data / "mlflow/artifacts"

    def database(self, name: str) -> Path:
        return self.folder / f"{name}.db"

    def query(self, name: str, statement: str, *values: object) -> list[tuple]:
        """Of a database that is not there, nothing."""
        if not self.database(name).exists():
            return []
        with closing(sqlite3.connect(self.database(name))) as connection:
            return connection.execute(statement, values).fetchall()

    def columns(self, name: str) -> dict[str, list[str]]:
        """Of each table."""
        names = self.query(
            name, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
        )
        return {
            table: [row[1] for row in self.query(name, f"PRAGMA table_info({quoted(table)})")]
            for (table,) in names
        }

    def count(self, name: str, table: str) -> int:
        return int(self.query(name, f"SELECT count(*) FROM {quoted(table)}")[0][0])  # noqa: S608 (quoted)

    def rows(self, name: str, table: str, columns: Sequence[str]) -> Iterator[list[Any]]:
        """As JSON can hold them."""
        with closing(sqlite3.connect(self.database(name))) as connection:
            listed = ", ".join(quoted(column) for column in columns)
            for row in connection.execute(f"SELECT {listed} FROM {quoted(table)}"):  # noqa: S608 (quoted)
                yield [plain(value) for value in row]


def take(instance: Instance) -> Source:
    """Copies the databases, whole, into run/, which each start makes anew."""
    folder = instance.run / "migrate"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    source = Source(instance, folder)
    for name, path in DATABASES.items():
        if (instance.data / path).exists():
            copy(instance.data / path, source.database(name))
    return source


def copy(database: Path, target: Path) -> None:
    """SQLite's own backup: it waits for writers, and undoes what one that was killed has begun."""
    address = f"file:{quote(str(database))}?mode=rw"
    try:
        with (
            closing(sqlite3.connect(address, uri=True, timeout=30)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
            (well,) = new.execute("PRAGMA quick_check").fetchone()
    except sqlite3.Error as error:
        raise Problem(
            f"{database} cannot be read: {error}.", "Close what else uses it, then try again."
        ) from error
    if well != "ok":
        raise Problem(
            f"{database} is damaged: {well}.", "A copy from before, if there is one, is what helps."
        )


def bring_up_to_date(source: Source) -> None:
    """The copies of MLflow's databases get the tables of the present MLflow; of an instance from before there
    were permissions, its experiments and models are given to who made them."""
    folder = source.folder / "secrets"
    folder.mkdir(exist_ok=True)
    for name in ("mlflow_flask_secret_key", "mlflow_builtin_admin_password"):
        # Of these copies only: the stack has its own.
        (folder / name).write_text(secrets.token_urlsafe(32), encoding="utf-8")
    variables = {
        "PYTHONPATH": str(ROOT / "services/mlflow"),
        "SECRETS_DIR": str(folder),
        "BACKEND_STORE_URI": f"sqlite:///{source.database('tracking')}",
        "AUTH_DATABASE_URI": f"sqlite:///{source.database('permissions')}",
    }
    command = [str(environment.python()), "-m", "slipway_mlflow", "migrate"]
    answer = ask(command, seconds=600, environment=variables)
    if not answer.ok:
        raise Problem(
            f"The copies of MLflow's databases cannot be brought up to date: {answer.last_words(4)}"
        )


def has_permissions(source: Source) -> bool:
    return "role_permissions" in source.columns("permissions")


def identity(instance: Instance) -> str:
    """A name for this instance that no other has; what it brought into a stack is marked with it."""
    path = instance.folder / "migrate-id"
    if not path.exists():
        temporary = path.with_suffix(".new")
        temporary.write_text(uuid.uuid4().hex, encoding="utf-8")
        os.replace(temporary, path)
    return path.read_text(encoding="utf-8").strip()


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def plain(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()
