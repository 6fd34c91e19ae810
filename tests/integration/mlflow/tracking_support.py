"""The tracking server as the image starts it, asked with the headers that the gateway would send."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.processes import Processes, free_port

CODE = Path(__file__).parents[3] / "services/mlflow"
COMMAND = [sys.executable, "-m", "slipway_mlflow"]
SECRETS = {
    name: f"{name} of these tests"
    for name in (
        "gateway_secret",
        "mlflow_reader_token",
        "mlflow_flask_secret_key",
        "mlflow_builtin_admin_password",
    )
}


def make_secrets(folder: Path) -> Path:
    folder.mkdir()
    for name, value in SECRETS.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def settings(folder: Path, secrets: Path) -> dict[str, str]:
    """What compose.yaml sets, for a server that keeps its things in a folder."""
    return {
        "PYTHONPATH": f"{CODE}:{os.environ.get('PYTHONPATH', '')}",
        "SECRETS_DIR": str(secrets),
        "BACKEND_STORE_URI": f"sqlite:///{folder}/mlflow.db",
        "AUTH_DATABASE_URI": f"sqlite:///{folder}/auth.db",
        "ARTIFACTS_DESTINATION": f"file://{folder}/artifacts",
        "MLFLOW_HOST": "127.0.0.1",
        "MLFLOW_PORT": str(free_port()),
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        "MLFLOW_WORKERS": "1",
        "MLFLOW_EXPOSE_PROMETHEUS": f"{folder}/prometheus",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
    }


def run(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


def start(processes: Processes, environment: dict[str, str], migrate: bool = True) -> str:
    """Starts the server, after the migration as the stack does; gives its base URL."""
    if migrate:
        migrated = run("migrate", environment)
        assert migrated.returncode == 0, migrated.stderr
    process = processes.start("mlflow", [*COMMAND, "serve"], environment=environment)
    base = f"http://127.0.0.1:{environment['MLFLOW_PORT']}"
    processes.wait_for("mlflow", process, f"{base}/mlflow/health", below=400, seconds=120)
    return base


def as_(name: str, admin: bool = False, groups: str = "") -> dict[str, str]:
    """What the gateway says of somebody."""
    return {
        "X-Gateway-Secret": SECRETS["gateway_secret"],
        "X-Remote-User": name,
        "X-Remote-Groups": groups,
        "X-Remote-Admin": "1" if admin else "0",
    }


READER = {"Authorization": f"Bearer {SECRETS['mlflow_reader_token']}"}


class Person:
    """Somebody at MLflow's REST API."""

    def __init__(self, base: str, headers: dict[str, str]) -> None:
        self.http = httpx.Client(base_url=base, headers=headers, timeout=60)

    def ask(self, method: str, path: str, body: dict | None = None) -> httpx.Response:
        if method == "GET":
            return self.http.get(f"/mlflow{path}", params=body)
        return self.http.request(method, f"/mlflow{path}", json=body)

    def post(self, path: str, **body: object) -> dict:
        return self._well("POST", path, body)

    def get(self, path: str, **parameters: object) -> dict:
        return self._well("GET", path, parameters)

    def _well(self, method: str, path: str, body: dict) -> dict:
        answer = self.ask(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}
