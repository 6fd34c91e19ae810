"""A real MLflow server with real models in its registry, and real serving processes that follow it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from tests.support.processes import free_port

SERVING = Path(__file__).parents[3] / "services" / "serving"
KNN_TYPES = ["sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree"]
FOREST_TYPES = ["sklearn.tree._tree.Tree"]
SECRETS = {
    "gateway_secret": "the-gateways-own-secret",
    "serving_reader_token": "the-token-that-only-reads",
    "mlflow_reader_token": "the-token-for-the-registry",
    "serving_db_password": "test-password",
}
PERSON = {"X-Gateway-Secret": SECRETS["gateway_secret"], "X-Remote-User": "ada"}
"""What the gateway says of somebody who is logged in."""
RANDOM = np.random.default_rng(7)
POINTS = pd.DataFrame(RANDOM.normal(scale=5, size=(400, 2)), columns=["Coord_X", "Coord_Y"])
COLOURS = np.where(POINTS.sum(axis=1) > 0, "Red", "Blue")


def eventually(true: Callable[[], object], seconds: float = 120, what: str = "it") -> object:
    """Wait for something to become true and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := true():
            return result
        time.sleep(0.05)
    pytest.fail(f"{what} did not happen within {seconds} s")


class Process:
    """A server process: started again on the same port, its log kept."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str], health: str):
        self.log = folder / "log"
        self.port = int(environment["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self._command, self._environment, self._health = command, environment, health

    def start(self, wait: bool = True) -> Process:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command, env={**os.environ, **self._environment}, stdout=log, stderr=log
            )
        if wait:
            eventually(self.answers, 180, f"{self._command[2:4]} to answer; its log: {self.log}")
        return self

    def answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            return httpx.get(self.url + self._health, timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    port = str(free_port())
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port]
    command += ["--static-prefix", "/mlflow", "--serve-artifacts", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    environment = {
        "PORT": port,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    server = Process(folder, command, environment, "/mlflow/health").start()
    server.uri, server.artifacts = server.url + "/mlflow", folder / "artifacts"
    yield server
    server.stop()


def _log_sklearn(name, model, frame, example=3, **more):
    with mlflow.start_run():
        return mlflow.sklearn.log_model(
            model,
            name="model",
            signature=infer_signature(frame, model.predict(frame)),
            input_example=frame.head(example) if example else None,
            registered_model_name=name,
            pip_requirements=["scikit-learn"],
            **more,
        )


def _log_red_blue(artifacts: Path) -> None:
    knn = make_pipeline(MinMaxScaler(), KNeighborsClassifier(7)).fit(POINTS, COLOURS)
    _log_sklearn("red-blue", knn, POINTS, skops_trusted_types=KNN_TYPES)
    # The second version calls red blue and blue red, so that an answer tells which version gave it.
    swapped = np.where(COLOURS == "Red", "Blue", "Red")
    forest = make_pipeline(MinMaxScaler(), RandomForestClassifier(25, random_state=1)).fit(POINTS, swapped)
    _log_sklearn("red-blue", forest, POINTS, skops_trusted_types=FOREST_TYPES)
    damaged = _log_sklearn("red-blue", forest, POINTS, skops_trusted_types=FOREST_TYPES)
    (stored,) = artifacts.rglob(f"*{damaged.model_id}/**/model.skops")
    stored.write_bytes(stored.read_bytes()[:100])
    _log_custom("red-blue", "own-example", POINTS.head(3))


def _log_custom(name, behaviour, example, signature=None):
    class Custom(mlflow.pyfunc.PythonModel):
        """Misbehaves as it is told; pickled by value because it is local."""

        def __init__(self, behaviour):
            self.behaviour = behaviour

        def predict(self, context, model_input, params=None):
            import time as clock

            import pandas

            if self.behaviour == "own-example":
                raise ValueError("this model answers nothing")
            first = model_input.iloc[:, 0]
            if self.behaviour == "fragile" and (first > 100).any():
                raise RuntimeError("over 100")
            if self.behaviour == "slow":
                clock.sleep(0.5)
            times = (params or {}).get("times", 1)
            return pandas.DataFrame({"double": first * 2 * times, "missing": [None] * len(first)})

    with mlflow.start_run():
        return mlflow.pyfunc.log_model(
            name="model",
            python_model=Custom(behaviour),
            signature=signature
            or infer_signature(example, pd.DataFrame({"double": [1.0]}), params={"times": 1}),
            input_example=example,
            registered_model_name=name,
            pip_requirements=["pandas"],
        )


def mixed_frame() -> pd.DataFrame:
    size = 200
    return pd.DataFrame(
        {
            "shop": RANDOM.choice(["north", "south"], size),
            "age": RANDOM.integers(18, 90, size),
            "income": np.where(RANDOM.random(size) < 0.1, np.nan, RANDOM.normal(40_000, 9_000, size)),
            "member": RANDOM.random(size) < 0.5,
        }
    )


def _log_others() -> None:
    frame = mixed_frame()
    mixed = make_pipeline(
        make_column_transformer((OneHotEncoder(sparse_output=False), ["shop"]), remainder="passthrough"),
        HistGradientBoostingRegressor(max_iter=10),
    ).fit(frame, frame["age"] * 2.0)
    _log_sklearn("mixed", mixed, frame, serialization_format="cloudpickle")
    array = POINTS.to_numpy()
    _log_sklearn("tensor", LinearRegression().fit(array, array[:, 0]), array, example=0)
    for name in ("fragile", "slow"):
        _log_custom(name, name, POINTS.head(2))


class Registry:
    """The models of these tests, and what is in Production."""

    def __init__(self, client: mlflow.MlflowClient):
        self.client = client

    def production(self, **versions: str) -> None:
        """Exactly these are in Production; a name's - is written _."""
        wanted = {name.replace("_", "-"): version for name, version in versions.items()}
        for model in self.client.search_registered_models():
            if model.name in wanted:
                self.client.set_registered_model_alias(model.name, "production", wanted[model.name])
            elif "production" in model.aliases:
                self.client.delete_registered_model_alias(model.name, "production")


@pytest.fixture(scope="session")
def registry(mlflow_server):
    """red-blue: 1 and 2 (2 swaps the colours) work, 3 is damaged, 4 fails on its own example."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(mlflow_server.uri)
    _log_red_blue(mlflow_server.artifacts)
    _log_others()
    yield Registry(mlflow.MlflowClient(mlflow_server.uri))
    mlflow.set_tracking_uri(before)


def write_secrets(folder: Path) -> Path:
    secrets = folder / "secrets"
    secrets.mkdir(exist_ok=True)
    for name, value in SECRETS.items():
        (secrets / name).write_text(f"{value}\n")
    return secrets


@pytest.fixture(scope="session")
def start_serving(mlflow_server):
    """start_serving(folder, **environment) -> a running server, asked with .get and .post by somebody who is
    logged in, or with `headers`; stopped at the end.
    """
    running = []

    def start(folder: Path, wait: bool = True, **environment: str) -> Process:
        port = str(free_port())
        settings = {
            "PORT": port,
            "PYTHONPATH": str(SERVING),
            "SECRETS_DIR": str(write_secrets(folder)),
            "SERVING_KEYS_URL": "http://127.0.0.1:9/auth/internal/keys",
            "MLFLOW_TRACKING_URI": mlflow_server.uri,
            "SERVING_PORT": port,
            "SERVING_CACHE_DIR": str(folder / "cache"),
            "SERVING_DATABASE_URL": f"sqlite:///{folder}/visitors.db",
            "SERVING_POLL_SECONDS": "0.3",
            "SERVING_FLUSH_SECONDS": "0.3",
            "SERVING_RETRY_SECONDS": "60",
            **environment,
        }
        server = Process(folder, [sys.executable, "-m", "slipway_serving"], settings, "/ready")

        def ask(method: str, path: str, body: object = None, headers: dict | None = None, **more):
            who = {} if "Authorization" in (headers or {}) else PERSON
            asked = {**who, **(headers or {})}
            return httpx.request(method, server.url + path, json=body, headers=asked, timeout=30, **more)

        server.get = lambda path, **more: ask("GET", path, **more)
        server.post = lambda path, body=None, **more: ask("POST", path, body, **more)
        running.append(server)
        return server.start(wait)

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def serve(start_serving, tmp_path):
    """start_serving for one test: serve(**environment) -> a server in tmp_path, stopped afterwards."""
    started = []

    def start(**environment) -> Process:
        started.append(start_serving(tmp_path, **environment))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def helpers():
    """What the tests of this folder share."""
    return SimpleNamespace(
        eventually=eventually, points=POINTS, colours=COLOURS, free_port=free_port, person=PERSON
    )
