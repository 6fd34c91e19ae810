"""The tracking server as the image starts it, with SQLite in place of Postgres and a real FTP server."""

from __future__ import annotations

import sqlite3
import subprocess
import threading
from pathlib import Path

import httpx
import mlflow
import psutil
import pytest
from mlflow import MlflowClient
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

from tests.integration.mlflow.tracking_support import (
    CODE,
    COMMAND,
    READER,
    SECRETS,
    as_,
    make_secrets,
    run,
    settings,
    start,
)


@pytest.fixture
def secrets(tmp_path) -> Path:
    return make_secrets(tmp_path / "secrets")


@pytest.fixture
def environment(tmp_path, secrets) -> dict[str, str]:
    return settings(tmp_path, secrets)


@pytest.fixture
def server(processes, environment):
    return lambda: start(processes, environment)


@pytest.fixture
def as_alice(gateway):
    gateway("alice")


@pytest.fixture
def ftp(tmp_path, free_port):
    """An FTP server with one account; gives MLflow's URI for it and the folder behind it."""
    folder = tmp_path / "ftp"
    folder.mkdir()
    authorizer = DummyAuthorizer()
    authorizer.add_user("mlflow", "f-t-p", str(folder), perm="elradfmwMT")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer})
    port = free_port()
    server = FTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"ftp://mlflow:f-t-p@127.0.0.1:{port}/artifacts", folder
    server.close_all()
    thread.join(10)


def test_artifacts_go_to_an_ftp_server_and_come_back(server, as_alice, secrets, ftp, tmp_path):
    address, folder = ftp
    (secrets / "artifacts_destination").write_text(address)
    base = server()
    mlflow.set_tracking_uri(f"{base}/mlflow")
    mlflow.set_experiment("by ftp")
    with mlflow.start_run() as active:
        mlflow.log_text("by way of ftp", "notes/note.txt")
    assert [path.read_text() for path in folder.rglob("note.txt")] == ["by way of ftp"]
    client = MlflowClient(f"{base}/mlflow")
    assert [item.path for item in client.list_artifacts(active.info.run_id, "notes")] == ["notes/note.txt"]
    target = tmp_path / "down"
    target.mkdir()
    down = client.download_artifacts(active.info.run_id, "notes/note.txt", str(target))
    assert Path(down).read_text() == "by way of ftp"


def test_no_password_can_be_read_from_the_process_list(server, environment, secrets, ftp):
    (secrets / "artifacts_destination").write_text(ftp[0])
    server()
    listing = subprocess.run(["ps", "-ewwo", "args"], capture_output=True, text=True, check=True).stdout
    assert "-m slipway_mlflow serve" in listing
    assert "f-t-p" not in listing
    assert not any(secret in listing for secret in SECRETS.values())


def test_the_healthcheck_asks_the_database(server, environment, tmp_path):
    assert run("healthcheck", environment).returncode == 1, "no server, no health"
    base = server()
    assert run("healthcheck", environment).returncode == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("ALTER TABLE experiments RENAME TO lost")
    unhealthy = run("healthcheck", environment)
    assert httpx.get(f"{base}/mlflow/health").status_code == 200, "MLflow's own /health does not notice"
    assert unhealthy.returncode == 1, "ours must"


def test_metrics_are_exposed_to_whoever_collects_them(server, as_alice):
    base = server()
    MlflowClient(f"{base}/mlflow").search_experiments()
    metrics = httpx.get(f"{base}/metrics").text
    assert "mlflow_http_request_duration_seconds_count" in metrics


def test_in_one_process_it_is_the_same_server(processes, as_alice, environment, tmp_path):
    """A new database, an artifact there and back, and the healthcheck, without a second process."""
    environment |= {"MLFLOW_ONE_PROCESS": "1", "MLFLOW_EXPOSE_PROMETHEUS": ""}
    environment |= {"ARTIFACTS_DESTINATION": str(tmp_path / "the artifacts ä")}
    process = processes.start("mlflow", [*COMMAND, "serve"], environment=environment)
    base = f"http://127.0.0.1:{environment['MLFLOW_PORT']}"
    processes.wait_for("mlflow", process, f"{base}/mlflow/health", below=400)
    assert not psutil.Process(process.pid).children()

    client = MlflowClient(f"{base}/mlflow")
    run_id = client.create_run(client.create_experiment("one")).info.run_id
    assert client.get_run(run_id).info.artifact_uri.startswith("mlflow-artifacts:/")
    client.log_text(run_id, "hällo", "ä.txt")
    (kept,) = (tmp_path / "the artifacts ä").rglob("ä.txt")
    assert kept.read_text() == "hällo"
    assert Path(client.download_artifacts(run_id, "ä.txt", str(tmp_path))).read_text() == "hällo"
    assert httpx.get(f"{base}/mlflow/", headers=as_("alice")).status_code == 200
    refused = httpx.post(
        f"{base}/mlflow/api/2.0/mlflow/experiments/search", json={}, headers=READER | {"Host": "evil.example"}
    )
    assert refused.status_code == 403, "host names are checked as `mlflow server` does"
    assert run("healthcheck", environment).returncode == 0
    processes.stop(process)
    assert "Application shutdown complete" in processes.log("mlflow")


def test_what_one_process_is_told_are_mlflows_own_names(monkeypatch):
    """Their names are MLflow's private ones: a new MLflow may have others."""
    from mlflow import environment_variables
    from mlflow.server import constants, handlers

    monkeypatch.syspath_prepend(str(CODE))
    from slipway_mlflow.serving import handed_to_a_worker

    known = {
        value for module in (constants, handlers) for value in vars(module).values() if type(value) is str
    }
    known |= {getattr(value, "name", None) for value in vars(environment_variables).values()}
    assert set(handed_to_a_worker("sqlite://", "/artifacts")) <= known


@pytest.mark.parametrize(
    "also", [{"MLFLOW_EXPOSE_PROMETHEUS": "/tmp/x"}, {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true"}]
)
def test_what_takes_more_than_one_process_is_refused_with_it(environment, also):
    finished = run("serve", environment | {"MLFLOW_EXPOSE_PROMETHEUS": "", "MLFLOW_ONE_PROCESS": "1"} | also)
    assert finished.returncode == 1
    assert next(iter(also)) in finished.stderr


def test_a_missing_secret_stops_the_server_with_a_sentence(environment, secrets):
    environment["BACKEND_STORE_URI"] = "postgresql+psycopg2://mlflow:{password}@postgres/mlflow"
    for command in ("serve", "migrate"):
        stopped = run(command, environment)
        assert stopped.returncode == 1
        assert f"the secret {secrets}/mlflow_db_password cannot be read" in stopped.stderr
        assert "Traceback" not in stopped.stderr
    environment["ARTIFACTS_DESTINATION"] = "s3://mlflow"
    assert "mlflow_s3_access_key_id" in run("serve", environment).stderr
    (secrets / "mlflow_s3_access_key_id").write_text("")
    assert "is empty" in run("serve", environment).stderr


def test_a_password_with_any_letter_reaches_the_database_uri(secrets, monkeypatch):
    monkeypatch.syspath_prepend(str(CODE))
    monkeypatch.setenv("SECRETS_DIR", str(secrets))
    monkeypatch.setenv("BACKEND_STORE_URI", "postgresql+psycopg2://mlflow:{password}@postgres:5432/mlflow")
    (secrets / "mlflow_db_password").write_text("a/b@c:d%e {}")
    from slipway_mlflow.settings import backend_store_uri
    from sqlalchemy import make_url

    assert make_url(backend_store_uri()).password == "a/b@c:d%e {}"


def test_no_secret_is_left_on_disk_or_readable_while_it_runs(server, environment, tmp_path, monkeypatch):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment["TMPDIR"] = str(temporary)
    server()
    (configuration,) = temporary.rglob("permissions.ini")
    assert configuration.stat().st_mode & 0o777 == 0o600
    assert configuration.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_made_before_there_were_permissions_belongs_to_who_made_it(environment, processes, tmp_path):
    """A database of an installation without them: the first start gives, later ones do not give again."""
    mlflow.set_tracking_uri(environment["BACKEND_STORE_URI"])
    client = MlflowClient(environment["BACKEND_STORE_URI"])
    for name, people in {"first": ["alice", "bob"], "second": ["bob"], "of nobody": ["root"]}.items():
        experiment = client.create_experiment(name, f"mlflow-artifacts:/{name}")
        runs = [client.create_run(experiment, tags={"mlflow.user": person}) for person in people]
        if name == "first":
            client.create_registered_model("m")
            client.create_model_version("m", f"{runs[0].info.artifact_uri}/model", runs[0].info.run_id)
    migrated = run("migrate", environment)
    assert migrated.returncode == 0, migrated.stderr
    assert "3 experiments and models now belong to those who made them" in migrated.stdout
    assert "belong" not in run("migrate", environment).stdout
    base = start(processes, environment)

    def may(person: str, path: str, **body: str) -> bool:
        body = {**body, "key": "k", "value": "v"}
        address = f"{base}/mlflow/api/2.0/mlflow/{path}"
        answer = httpx.post(address, json=body, headers=as_(person), timeout=30)
        assert answer.status_code in (200, 403)
        return answer.status_code == 200

    def ids(name: str) -> str:
        return client.get_experiment_by_name(name).experiment_id

    assert may("alice", "experiments/set-experiment-tag", experiment_id=ids("first"))
    assert not may("bob", "experiments/set-experiment-tag", experiment_id=ids("first"))
    assert may("bob", "experiments/set-experiment-tag", experiment_id=ids("second"))
    assert not may("root", "experiments/set-experiment-tag", experiment_id=ids("of nobody"))
    assert may("alice", "registered-models/set-tag", name="m")
    assert not may("bob", "registered-models/set-tag", name="m")
