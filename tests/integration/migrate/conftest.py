"""Databases of an embedded platform, made by MLflow and JupyterHub themselves, and a real Postgres."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from nativeauthenticator.orm import UserInfo
from sqlalchemy import create_engine, text

from infra.embedded.instance import Instance
from infra.migrate import source, stores
from infra.migrate.talk import python, talk
from jupyterhub import orm
from tests.support.postgres import PASSWORD, Postgres, running_postgres

REPOSITORY = Path(__file__).parents[3]


class Database:
    """A database of the stack, and the program that runs beside it."""

    def __init__(self, port: int, name: str, environment: dict[str, str], *which: str) -> None:
        """`which`: of a service with more than one database."""
        self.which = which
        self.url = f"postgresql+psycopg2://stack:{PASSWORD}@127.0.0.1:{port}/{name}"
        self.environment = environment

    def rows(self, statement: str) -> list[tuple]:
        with create_engine(self.url).connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def do(self, statement: str) -> None:
        with create_engine(self.url).begin() as connection:
            connection.execute(text(statement))

    def command(self, *arguments: str) -> list[str]:
        settings = [f"{name}={value}" for name, value in self.environment.items()]
        return ["env", *settings, sys.executable, *python("tables")[1:], *arguments, *self.which]

    def look(self, wanted: dict[str, list[str]]) -> stores.Looked:
        return stores.looked(talk(self.command("look", json.dumps(wanted)), "look"))

    def lines(self, sections, instance: str = "one", note: dict | None = None) -> list[bytes]:
        every = stores.lines(sections, instance, note or {}, lambda _words: None)
        return [line.encode() for line in every]

    def write(self, sections, instance: str = "one", note: dict | None = None) -> dict[str, int]:
        lines = self.lines(sections, instance, note)
        answer = talk(self.command("write"), "write", feed=lambda pipe: pipe.writelines(lines))
        return json.loads(answer)["counts"]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory) -> Iterator[Postgres]:
    """With a database `pattern` in which MLflow has made its tables and its default experiment."""
    with running_postgres("stack") as server:
        url = f"postgresql+psycopg2://stack:{PASSWORD}@127.0.0.1:{server.port}"
        execute(url, "CREATE DATABASE pattern")
        make = "import sys; from mlflow import MlflowClient; MlflowClient(sys.argv[1]).search_experiments()"
        subprocess.run([sys.executable, "-c", make, f"{url}/pattern"], check=True, timeout=300)
        yield server


def execute(url: str, statement: str) -> None:
    engine = create_engine(f"{url}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def tracking_of_stack(postgres, tmp_path) -> Database:
    """As new: nobody has worked there."""
    url = f"postgresql+psycopg2://stack:{PASSWORD}@127.0.0.1:{postgres.port}"
    name = f"m{secrets.token_hex(4)}"
    execute(url, f"CREATE DATABASE {name} TEMPLATE pattern")
    environment = {"BACKEND_STORE_URI": f"{url}/{name}", "PYTHONPATH": str(REPOSITORY / "services/mlflow")}
    return Database(postgres.port, name, environment)


@pytest.fixture
def hub_of_stack(postgres, tmp_path) -> Database:
    """With its first administrator, `admin`."""
    url = f"postgresql+psycopg2://stack:{PASSWORD}@127.0.0.1:{postgres.port}"
    name = f"h{secrets.token_hex(4)}"
    execute(url, f"CREATE DATABASE {name}")
    folder = tmp_path / "hub-secrets"
    folder.mkdir()
    tokens = ("proxy_auth_token", "auth_service_token", "hub_operator_token")
    for secret in ("hub_cookie_secret", "hub_crypt_key", *tokens):
        (folder / secret).write_text(secrets.token_hex(32))
    (folder / "hub_admin_password").write_text("abcd-efgh-jkmn-pqrs")
    environment = {
        "HUB_DB_URL": f"{url}/{name}",
        "SECRETS_DIR": str(folder),
        "PYTHONPATH": str(REPOSITORY / "jupyterhub/hub"),
    }
    make_hub(f"{url}/{name}", {"admin": True})
    return Database(postgres.port, name, environment)


def make_hub(url: str, users: dict[str, bool], groups: dict[str, list[str]] | None = None) -> None:
    """`users`: who is an administrator."""
    db = orm.new_session_factory(url)()
    UserInfo.metadata.create_all(db.get_bind())
    for name, admin in users.items():
        db.add(orm.User(name=name, admin=admin))
        db.add(UserInfo(username=name, password=f"$2b$hash of {name}".encode(), is_authorized=True))
    for name, members in (groups or {}).items():
        group = orm.Group(name=name)
        group.users = [db.query(orm.User).filter_by(name=member).one() for member in members]
        db.add(group)
    db.commit()
    db.close()


@pytest.fixture(scope="session")
def embedded(tmp_path_factory) -> Path:
    """An instance's folder: runs, a model with alias and stage, users with a group."""
    folder = tmp_path_factory.mktemp("Plätze für alle")
    data = folder / "data"
    for name in ("mlflow/artifacts", "hub", "serving", "homes"):
        (data / name).mkdir(parents=True)
    log_work(MlflowClient(f"sqlite:///{data}/mlflow/mlflow.db"))
    make_hub(
        f"sqlite:///{data}/hub/jupyterhub.sqlite",
        {"root": True, "ada": False, "zoe": False},
        {"readers": ["ada", "root"]},
    )
    return folder


def log_work(client: MlflowClient) -> None:
    number = client.create_experiment("red-blue", artifact_location="mlflow-artifacts:/1")
    for experiment, runs in (("0", 1), (number, 2)):
        for _ in range(runs):
            run = client.create_run(experiment, tags={"say": "grüezi ✓"}).info.run_id
            for step in range(400):
                client.log_metric(run, "loss", 1 / 3 + step, step=step)
            client.log_metric(run, "nan", float("nan"))
            client.log_metric(run, "infinite", float("inf"))
            client.log_param(run, "depth", "3")
            points = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0]}), name="points")
            client.log_inputs(run, [mlflow.entities.DatasetInput(points._to_mlflow_entity())])
    client.create_registered_model("red-blue", tags={"team": "blue"}, description="Points")
    for stage in ("Archived", "Production"):
        version = client.create_model_version("red-blue", "mlflow-artifacts:/1/models/m-1/artifacts", run)
        client.transition_model_version_stage("red-blue", version.version, stage)
    client.set_registered_model_alias("red-blue", "production", version.version)
    client.copy_model_version("models:/red-blue/1", "copied")


@pytest.fixture
def taken(embedded) -> source.Source:
    return source.take(Instance("test", embedded))


@pytest.fixture(autouse=True)
def quiet(monkeypatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture
def client_of() -> Callable[[Database], MlflowClient]:
    return lambda database: MlflowClient(database.url, registry_uri=database.url)
