"""A real MLflow server as the platform runs it (under /mlflow, artifacts proxied), and real serving."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier

from pipelines.cli import main as slipway_command
from pipelines.red_blue.__main__ import main as red_blue_command
from tests.support.processes import Processes, free_port

REPOSITORY = Path(__file__).parents[3]
READY = {"below": 201, "seconds": 180}
SECRETS = {
    name: f"{name}-of-these-tests"
    for name in ("gateway_secret", "serving_reader_token", "mlflow_reader_token")
}


@dataclass
class Server:
    """uri: what MLFLOW_TRACKING_URI is; artifacts: the folder behind the server."""

    uri: str
    artifacts: Path
    client: MlflowClient


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--static-prefix", "/mlflow", "--serve-artifacts", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    uri = f"http://127.0.0.1:{port}/mlflow"
    processes = Processes(folder)
    processes.wait_for(
        "mlflow", processes.start("mlflow", command, environment=quiet), f"{uri}/health", **READY
    )
    yield Server(uri, folder / "artifacts", MlflowClient(uri, registry_uri=uri))
    processes.stop_all()


@pytest.fixture(scope="session")
def serving_url(server, tmp_path_factory) -> Iterator[str]:
    """Of a serving process that follows the server, behind a gateway that takes everybody for Ada."""
    folder, port = tmp_path_factory.mktemp("serving"), free_port()
    for name, value in SECRETS.items():
        (folder / name).write_text(value)
    environment = {
        "PYTHONPATH": str(REPOSITORY / "services/serving"),
        "MLFLOW_TRACKING_URI": server.uri,
        "SECRETS_DIR": str(folder),
        "SERVING_PORT": str(port),
        "SERVING_CACHE_DIR": str(folder / "cache"),
        "SERVING_DATABASE_URL": f"sqlite:///{folder}/visitors.db",
        "SERVING_POLL_SECONDS": "0.3",
    }
    own, url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{free_port()}"
    processes, command = Processes(folder), [sys.executable, "-m", "slipway_serving"]
    processes.wait_for(
        "serving", processes.start("serving", command, environment=environment), f"{own}/health", **READY
    )
    gateway = [str(Path(sys.executable).with_name("caddy")), "reverse-proxy", "--from", url, "--to", own]
    for header in (f"X-Gateway-Secret: {SECRETS['gateway_secret']}", "X-Remote-User: ada"):
        gateway += ["--header-up", header]
    processes.wait_for("gateway", processes.start("gateway", gateway), f"{url}/health", **READY)
    yield url
    processes.stop_all()


@pytest.fixture(autouse=True)
def environment(server, monkeypatch, tmp_path) -> Iterator[None]:
    """What a notebook's environment says, for the commands run here and the processes they start."""
    monkeypatch.setenv("LOGNAME", "ada")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    # MLflow itself writes the experiment it was told last into the environment: it is not to be put back.
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)
    for name in ("SLIPWAY_SERVING_URL", "SLIPWAY_URL", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(server.uri)
    yield
    mlflow.set_tracking_uri(None)
    # MLflow keeps the last experiment for the whole process; other tests speak to other servers.
    mlflow.tracking.fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


@pytest.fixture
def client(server) -> MlflowClient:
    return server.client


def run_command(command, arguments: tuple[str, ...], status: int) -> Result:
    done = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert done.exit_code == status, f"{done.exit_code} {done.output} {done.exception!r}"
    return done


@pytest.fixture
def slipway():
    """slipway("rollout", "red-blue", "1", status=0) -> what it printed."""
    return lambda *arguments, status=0: run_command(slipway_command, arguments, status).output


@pytest.fixture
def red_blue():
    """red_blue("train", "--model", "knn") -> what it printed."""
    return lambda *arguments, status=0: run_command(red_blue_command, arguments, status).output


@pytest.fixture
def log_model(server):
    """log_model(score=0.9) -> the id of a run with one small model that answers `answer` to every point."""

    def log(score: float = 0.9, experiment: str = "small", answer: str = "Red", name: str = "model") -> str:
        points = pd.DataFrame({"Coord_X": [1.0, 2.0], "Coord_Y": [3.0, 4.0]})
        model = DummyClassifier(strategy="constant", constant=answer).fit(points, np.array(["Red", "Blue"]))
        mlflow.set_experiment(experiment)
        with mlflow.start_run() as run:
            mlflow.log_metric("reference_accuracy", score)
            mlflow.log_input(mlflow.data.from_pandas(points, name="two-points"), context="training")
            mlflow.sklearn.log_model(
                model,
                name=name,
                signature=infer_signature(points, pd.Series(model.predict(points), name="label")),
                input_example=points,
                pip_requirements=["scikit-learn"],
            )
        return run.info.run_id

    return log


@pytest.fixture
def damage(server):
    """damage(run_id): the stored model of a run can be downloaded but not loaded."""

    def cut(run_id: str) -> None:
        (output,) = server.client.get_run(run_id).outputs.model_outputs
        (stored,) = server.artifacts.rglob(f"*{output.model_id}/**/model.skops")
        stored.write_bytes(stored.read_bytes()[:100])

    return cut
