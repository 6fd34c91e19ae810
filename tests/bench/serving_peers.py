"""The servers that serving is compared with: how each is installed, started and asked, and what it answers.

Every peer has a virtual environment of its own, made from a lock with hashes, and is set up as its own
documentation says for speed: batching where it has it, one worker, one thread in numeric libraries.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

from tests.support import model_kinds
from tests.support.model_kinds import Kind
from tests.support.processes import Processes, free_port

HERE = Path(__file__).parent / "peers"
THREADS = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "BENTOML_DO_NOT_TRACK": "true",
    "NO_ALBUMENTATIONS_UPDATE": "1",
}
"""For every server alike: one replica owns one core's worth of threads."""


@dataclass(frozen=True)
class Request:
    """How a server is asked for some rows."""

    path: str
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass
class Server:
    """A running one. request: rows -> Request; answers: a body -> one prediction a row."""

    url: str
    pid: int
    request: Callable[[pd.DataFrame], Request]
    answers: Callable[[bytes], list[Any]]
    stop: Callable[[], None]
    arrow: Callable[[pd.DataFrame], Request] | None = None


def environment_of(lock: Path, folder: Path) -> Path:
    """The Python of a virtual environment that has what the lock says; made where it is missing."""
    content = lock.read_bytes()
    made = folder / "venvs" / f"{lock.stem}-{hashlib.sha256(content).hexdigest()[:12]}"
    python = made / "bin" / "python"
    if not (made / "complete").exists():
        print(f"installing {lock.stem}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(made)], check=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (made / "complete").touch()
    return python


def rows_of(frame: pd.DataFrame) -> list[list[Any]]:
    """As JSON has them: null where a value is missing."""
    return [[None if _missing(value) else value for value in row] for row in frame.to_numpy(object).tolist()]


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(frame.columns, row, strict=True)) for row in rows_of(frame)]


def columns_of(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return dict(zip(frame.columns, map(list, zip(*rows_of(frame), strict=True)), strict=True))


def split_of(frame: pd.DataFrame) -> dict[str, Any]:
    return {"columns": list(frame.columns), "data": rows_of(frame)}


def differing(expected: Any, answers: list[Any]) -> str | None:
    """What is wrong with a server's answers, None where they are the native model's."""
    expected = np.asarray(expected)
    if len(answers) != len(expected):
        return f"{len(answers)} answers to {len(expected)} rows"
    if expected.dtype.kind == "f":
        same = np.isclose(np.array(answers, float).ravel(), expected, rtol=1e-6)
    else:
        same = np.array(answers, expected.dtype).ravel() == expected
    wrong = int(np.sum(~same))
    return f"{wrong} of {len(expected)} answers differ" if wrong else None


def _missing(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _numeric(kind: Kind) -> bool:
    return all(dtype == np.float64 for dtype in kind.frame.dtypes) and not kind.frame.isna().any(axis=None)


def kept(folder: Path, name: str) -> Path:
    """A folder for what later runs use too, for as long as the kinds of models stay as they are."""
    version = hashlib.sha256(Path(model_kinds.__file__).read_bytes()).hexdigest()[:12]
    made = folder / f"{name}-{version}"
    made.mkdir(exist_ok=True)
    return made


def _saved(folder: Path, kind: Kind) -> Path:
    model = kept(folder, "models") / kind.name
    if not (model / "MLmodel").exists():
        kind.save(model)
        if kind.is_sklearn:
            joblib.dump(kind.model, model / "model.joblib")
    return model


def _run(
    processes: Processes, folder: Path, name: str, command: list[str], port: int, health: str, kind: Kind
) -> subprocess.Popen:
    described = {
        "folder": str(_saved(folder, kind)),
        "sklearn": kind.is_sklearn,
        "numeric": _numeric(kind),
        "columns": list(kind.frame.columns),
        "types": {name: str(dtype) for name, dtype in kind.frame.dtypes.items()},
    }
    environment = {**THREADS, "PYTHONPATH": str(HERE), "BENCH_KIND": json.dumps(described)}
    # Its own programs before others of the same name: servers start helpers by name.
    environment["PATH"] = f"{Path(command[0]).parent}{os.pathsep}{os.environ['PATH']}"
    process = processes.start(name, command, environment=environment)
    processes.wait_for(name, process, f"http://127.0.0.1:{port}{health}", below=400, seconds=120)
    return process


def _json_request(path: str, document: Any) -> Request:
    return Request(path, json.dumps(document).encode())


def mlflow_serve(processes: Processes, folder: Path, kind: Kind) -> Server:
    port, python = free_port(), environment_of(HERE / "mlflow.txt", folder)
    command = [str(python), "-m", "mlflow", "models", "serve", "--model-uri", str(_saved(folder, kind))]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = _run(processes, folder, f"mlflow-{kind.name}", command, port, "/ping", kind)
    return Server(
        f"http://127.0.0.1:{port}",
        process.pid,
        lambda frame: _json_request("/invocations", {"dataframe_split": split_of(frame)}),
        lambda body: json.loads(body)["predictions"],
        lambda: processes.stop(process),
    )


def _mlserver(batching: bool) -> Callable[[Processes, Path, Kind], Server]:
    def start(processes: Processes, folder: Path, kind: Kind) -> Server:
        python = environment_of(HERE / "mlserver.txt", folder)
        port = free_port()
        home = folder / "mlserver" / f"{kind.name}-{batching}"
        home.mkdir(parents=True, exist_ok=True)
        ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
        settings = {"host": "127.0.0.1", "debug": False, "parallel_workers": 0, **ports}
        runtime = "mlserver_sklearn.SKLearnModel" if kind.is_sklearn else "mlserver_mlflow.MLflowRuntime"
        files = _saved(folder, kind) / ("model.joblib" if kind.is_sklearn else "")
        model: dict[str, Any] = {
            "name": kind.name,
            "implementation": runtime,
            "parameters": {"uri": str(files)},
        }
        if batching:
            # A batch is full, and does not wait, when 16 connections have asked.
            model |= {"max_batch_size": 16, "max_batch_time": 0.002}
        (home / "settings.json").write_text(json.dumps(settings))
        (home / "model-settings.json").write_text(json.dumps(model))
        command = [str(python.with_name("mlserver")), "start", str(home)]
        name = f"mlserver-{kind.name}-{batching}"
        process = _run(processes, folder, name, command, port, "/v2/health/ready", kind)
        path = f"/v2/models/{kind.name}/infer"
        return Server(
            f"http://127.0.0.1:{port}",
            process.pid,
            lambda frame: _json_request(path, _tensors(kind, frame)),
            _tensor_answers,
            lambda: processes.stop(process),
        )

    return start


_V2 = {"f": "FP64", "i": "INT64", "b": "BOOL"}


def _tensors(kind: Kind, frame: pd.DataFrame) -> dict[str, Any]:
    """As one tensor where it can be one, which MLServer reads fastest, else a column each."""
    if kind.is_sklearn and _numeric(kind):
        flat = frame.to_numpy().ravel().tolist()
        return {"inputs": [{"name": "x", "datatype": "FP64", "shape": list(frame.shape), "data": flat}]}
    inputs = []
    for name, column in frame.items():
        values = [None if _missing(value) else value for value in column.tolist()]
        kind_of = _V2.get(column.dtype.kind)
        inputs.append(
            {
                "name": name,
                "datatype": kind_of or "BYTES",
                "shape": [len(frame), 1],
                "data": values,
                **({} if kind_of else {"parameters": {"content_type": "str"}}),
            }
        )
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


def _tensor_answers(body: bytes) -> list[Any]:
    (output,) = json.loads(body)["outputs"]
    if (output.get("parameters") or {}).get("content_type") == "base64":
        return [base64.b64decode(value).decode() for value in output["data"]]
    return output["data"]


def bentoml(processes: Processes, folder: Path, kind: Kind) -> Server:
    port, python = free_port(), environment_of(HERE / "bentoml.txt", folder)
    command = [str(python.with_name("bentoml")), "serve", "bentoml_service:Rows", "--working-dir", str(HERE)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--api-workers", "1"]
    process = _run(processes, folder, f"bentoml-{kind.name}", command, port, "/readyz", kind)
    return Server(
        f"http://127.0.0.1:{port}",
        process.pid,
        lambda frame: _json_request("/predict", {"rows": rows_of(frame)}),
        json.loads,
        lambda: processes.stop(process),
    )


def litserve(processes: Processes, folder: Path, kind: Kind) -> Server:
    port, python = free_port(), environment_of(HERE / "litserve.txt", folder)
    command = [str(python), str(HERE / "litserve_server.py"), str(port)]
    process = _run(processes, folder, f"litserve-{kind.name}", command, port, "/health", kind)
    return Server(
        f"http://127.0.0.1:{port}",
        process.pid,
        lambda frame: _json_request("/predict", {"rows": rows_of(frame)}),
        lambda body: json.loads(body)["predictions"],
        lambda: processes.stop(process),
    )


def noop(processes: Processes, folder: Path, kind: Kind) -> Server:
    """Sent what serving is sent; it does not look at it."""
    port, python = free_port(), environment_of(HERE / "noop.txt", folder)
    command = [str(python), "-m", "uvicorn", "noop:app", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--no-access-log", "--log-level", "warning"]
    process = _run(processes, folder, "noop", command, port, "/health", kind)
    return Server(
        f"http://127.0.0.1:{port}",
        process.pid,
        lambda frame: _json_request("/predict", {"inputs": records_of(frame)}),
        lambda body: json.loads(body)["predictions"],
        lambda: processes.stop(process),
    )


PEERS = {
    "mlflow models serve": mlflow_serve,
    "MLServer": _mlserver(batching=False),
    "MLServer, batching": _mlserver(batching=True),
    "BentoML": bentoml,
    "LitServe": litserve,
}
