"""The tracking server as the image starts it, with SQLite in place of Postgres and a real FTP server."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
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

STARTER = Path(__file__).parents[3] / "services/mlflow/slipway_mlflow.py"


@pytest.fixture
def secrets(tmp_path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(tmp_path, secrets, free_port) -> dict[str, str]:
    """What compose.yaml sets, for a server that keeps its things in the test's folder."""
    return {
        "SECRETS_DIR": str(secrets),
        "BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "ARTIFACTS_DESTINATION": f"file://{tmp_path}/artifacts",
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": str(free_port()),
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "MLFLOW_WORKERS": "1",
        "MLFLOW_EXPOSE_PROMETHEUS": f"{tmp_path}/prometheus",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def run(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(STARTER), command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


@pytest.fixture
def server(processes, environment):
    """Starts the server after the migration, as the stack does; gives its base URL."""

    def start() -> str:
        migrated = run("migrate", environment)
        assert migrated.returncode == 0, migrated.stderr
        process = processes.start("mlflow", [sys.executable, str(STARTER), "serve"], environment=environment)
        base = f"http://127.0.0.1:{environment['MLFLOW_PORT']}"
        processes.wait_for("mlflow", process, f"{base}/mlflow/health", below=400)
        return base

    return start


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


def test_artifacts_go_to_an_ftp_server_and_come_back(server, environment, secrets, ftp, tmp_path):
    address, folder = ftp
    (secrets / "artifacts_destination").write_text(address)
    base = server()
    mlflow.set_tracking_uri(f"{base}/mlflow")
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
    assert "slipway_mlflow.py serve" in listing or "mlflow.server" in listing
    assert "f-t-p" not in listing


def test_the_healthcheck_asks_the_database(server, environment, tmp_path):
    assert run("healthcheck", environment).returncode == 1, "no server, no health"
    base = server()
    assert run("healthcheck", environment).returncode == 0
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("ALTER TABLE experiments RENAME TO lost")
    unhealthy = run("healthcheck", environment)
    assert httpx.get(f"{base}/mlflow/health").status_code == 200, "MLflow's own /health does not notice"
    assert unhealthy.returncode == 1, "ours must"


def test_metrics_are_exposed(server, environment):
    base = server()
    MlflowClient(f"{base}/mlflow").search_experiments()
    metrics = httpx.get(f"{base}/metrics").text
    assert "mlflow_http_request_duration_seconds_count" in metrics


def test_in_one_process_it_is_the_same_server(processes, environment, tmp_path):
    """A new database, an artifact there and back, and the healthcheck, without a second process."""
    environment |= {"MLFLOW_ONE_PROCESS": "1", "MLFLOW_EXPOSE_PROMETHEUS": ""}
    environment |= {"ARTIFACTS_DESTINATION": str(tmp_path / "the artifacts ä")}
    process = processes.start("mlflow", [sys.executable, str(STARTER), "serve"], environment=environment)
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
    assert httpx.get(f"{base}/mlflow/").status_code == 200
    refused = httpx.post(
        f"{base}/mlflow/api/2.0/mlflow/experiments/search", json={}, headers={"Host": "evil.example"}
    )
    assert refused.status_code == 403, "host names are checked as `mlflow server` does"
    assert run("healthcheck", environment).returncode == 0
    processes.stop(process)
    assert "Application shutdown complete" in processes.log("mlflow")


def test_what_one_process_is_told_are_mlflows_own_names(monkeypatch):
    """Their names are MLflow's private ones: a new MLflow may have others."""
    from mlflow import environment_variables
    from mlflow.server import constants, handlers

    monkeypatch.syspath_prepend(str(STARTER.parent))
    import slipway_mlflow

    known = {
        value for module in (constants, handlers) for value in vars(module).values() if type(value) is str
    }
    known |= {getattr(value, "name", None) for value in vars(environment_variables).values()}
    assert set(slipway_mlflow.handed_to_a_worker("sqlite://", "/artifacts")) <= known


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
    monkeypatch.syspath_prepend(str(STARTER.parent))
    monkeypatch.setenv("SECRETS_DIR", str(secrets))
    monkeypatch.setenv("BACKEND_STORE_URI", "postgresql+psycopg2://mlflow:{password}@postgres:5432/mlflow")
    (secrets / "mlflow_db_password").write_text("a/b@c:d%e {}")
    sys.modules.pop("slipway_mlflow", None)
    import slipway_mlflow
    from sqlalchemy import make_url

    assert make_url(slipway_mlflow.backend_store_uri()).password == "a/b@c:d%e {}"
