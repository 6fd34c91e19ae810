"""Slipway's model server as it really runs: following an MLflow registry, keys of the real door-keeper, all
checks on.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pandas as pd
import pyarrow as pa

from tests.bench.serving_peers import (
    THREADS,
    Request,
    Server,
    columns_of,
    environment_of,
    kept,
    records_of,
)
from tests.integration.auth.conftest import DoorKeeper
from tests.integration.serving.conftest import write_secrets
from tests.support.installation import REPOSITORY
from tests.support.model_kinds import kind
from tests.support.processes import Processes, free_port

SERVING = REPOSITORY / "services/serving"
ARROW = "application/vnd.apache.arrow.stream"


class Ours:
    """The platform around it, up for the whole run; `start` starts serving with some models in Production."""

    def __init__(self, folder: Path, processes: Processes, commit: str | None = None) -> None:
        self.folder, self.processes = folder, processes
        # What is measured stays the same while it is measured, whatever is edited meanwhile.
        self.code = _copy(folder / "code", commit)
        self.python = environment_of(SERVING / "requirements.txt", folder)
        self._start_registry()
        keys = folder / "keys"
        shutil.rmtree(keys, ignore_errors=True)
        keys.mkdir()
        self.door = DoorKeeper(keys, f"sqlite:///{keys}/keys.db")
        self.key = self.door.make_key("grace", "bench", models=["*"])["key"]

    def close(self) -> None:
        self.door.stop_all()

    def register(self, names: list[str]) -> None:
        for name in names:
            if not self._versions(name):
                print(f"registering {name}", file=sys.stderr, flush=True)
                kind(name).log(name)

    def start(self, names: list[str]) -> Server:
        """Serving with exactly these in Production; requests go to the first."""
        for model in self.client.search_registered_models():
            if model.name in names:
                version = self._versions(model.name)[0].version
                self.client.set_registered_model_alias(model.name, "production", version)
            elif "production" in model.aliases:
                self.client.delete_registered_model_alias(model.name, "production")
        port, home = free_port(), Path(tempfile.mkdtemp(prefix="serving-", dir=self.folder))
        environment = {
            **THREADS,
            "MALLOC_ARENA_MAX": "2",  # as its image has it
            "PYTHONPATH": str(self.code),
            "SECRETS_DIR": str(write_secrets(home)),
            "MLFLOW_TRACKING_URI": self.registry,
            "SERVING_KEYS_URL": self.door.feed_url,
            "SERVING_PORT": str(port),
            "SERVING_CACHE_DIR": str(home / "cache"),
            "SERVING_DATABASE_URL": f"sqlite:///{home}/visitors.db",
            "SERVING_MAX_BODY_BYTES": str(64 * 1024 * 1024),
        }
        process = self.processes.start(
            "serving", [str(self.python), "-m", "slipway_serving"], environment=environment
        )
        url = f"http://127.0.0.1:{port}"
        self.processes.wait_for("serving", process, f"{url}/ready", below=400, seconds=180)
        self._until_prepared(url, names)
        authorized = {"Authorization": f"Bearer {self.key}"}
        headers = {"Content-Type": "application/json", **authorized}
        path = f"/models/{names[0]}/predict"

        def request(frame: pd.DataFrame) -> Request:
            if len(frame) == 1:
                return Request(path, json.dumps({"inputs": records_of(frame)}).encode(), headers)
            scoring = f"/models/{names[0]}/invocations"
            return Request(scoring, json.dumps({"inputs": columns_of(frame)}).encode(), headers)

        def arrow(frame: pd.DataFrame) -> Request:
            table = pa.Table.from_pandas(frame, preserve_index=False)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            asked = {"Content-Type": ARROW, "Accept": ARROW, **authorized}
            return Request(path, sink.getvalue().to_pybytes(), asked)

        def stop() -> None:
            self.processes.stop(process)
            shutil.rmtree(home, ignore_errors=True)

        return Server(url, process.pid, request, _answers, stop, arrow=arrow)

    def described(self, url: str, name: str) -> dict[str, Any]:
        """What serving says of a model."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return httpx.get(f"{url}/models/{name}", headers=headers, timeout=30).json()

    def _until_prepared(self, url: str, names: list[str]) -> None:
        """A version answers before its fastest runtime is found: what is measured is what stays."""
        deadline = time.monotonic() + 300
        while any(self.described(url, name)["preparation"]["state"] != "done" for name in names):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not prepared within 300 s: {self.described(url, names[0])}")
            time.sleep(0.5)

    def _start_registry(self) -> None:
        home, port = kept(self.folder, "registry"), free_port()
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--serve-artifacts", "--workers", "1", "--artifacts-destination", str(home / "artifacts")]
        command += ["--backend-store-uri", f"sqlite:///{home}/mlflow.db"]
        environment = {**os.environ, **THREADS, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = self.processes.start("registry", command, environment=environment)
        self.registry = f"http://127.0.0.1:{port}"
        self.processes.wait_for("registry", process, f"{self.registry}/health", below=400, seconds=120)
        os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"
        mlflow.set_tracking_uri(self.registry)
        self.client = mlflow.MlflowClient(self.registry)

    def _versions(self, name: str) -> list[Any]:
        return self.client.search_model_versions(f"name='{name}'")


def _copy(to: Path, commit: str | None) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    if commit is None:
        shutil.copytree(SERVING, to)
        return to
    tree = f"{commit}:{SERVING.relative_to(REPOSITORY)}"
    packed = subprocess.run(["git", "archive", tree], cwd=REPOSITORY, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        tar.extractall(to, filter="data")
    return to


def _answers(body: bytes) -> list[Any]:
    if not body.startswith(b"{"):
        table = pa.ipc.open_stream(body).read_all()
        return table.column(table.num_columns - 1).to_pylist()
    return json.loads(body)["predictions"]
