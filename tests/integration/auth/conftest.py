"""The door-keeper as a process, with a real Postgres; small servers answer what the hub and MLflow would."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.postgres import PASSWORD, Postgres, running_postgres
from tests.support.processes import Processes, free_port

REPOSITORY = Path(__file__).parents[3]
GATEWAY_SECRET = "the-gateways-own-secret"
SERVICE_TOKEN = "the-door-keepers-token-at-the-hub"
SEED = "5e" * 32
SCOPE = "access:services!service=auth"
PEOPLE = {
    "ada-token": {"name": "ada", "admin": False, "groups": ["ds"]},
    "bob-token": {"name": "bob", "admin": False, "groups": []},
    "grace-token": {"name": "grace", "admin": True, "groups": []},
}
MANAGED = {"ada": {"red-blue", "churn"}}
"""Who may manage which registered models."""


class Answers(ThreadingHTTPServer):
    """A server whose answers are `answer(path, query, headers)` -> (status, document)."""

    daemon_threads = True

    def __init__(self, answer) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                status, document = answer(parts.path, query, self.headers)
                server.asked.append((parts.path, query, dict(self.headers)))
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


def hub_says(path: str, query: dict[str, str], headers: Any) -> tuple[int, Any]:
    token = headers.get("Authorization", "").removeprefix("token ").removeprefix("Bearer ")
    if token == SERVICE_TOKEN:
        return 200, {"kind": "service", "name": "auth", "scopes": []}
    if token in PEOPLE:
        return 200, {"kind": "user", **PEOPLE[token], "scopes": [SCOPE]}
    return 403, {"message": "no"}


def mlflow_says(path: str, query: dict[str, str], headers: Any) -> tuple[int, Any]:
    """As MLflow's own route: to the person themselves, and only with the gateway's word for who it is."""
    known = headers.get("X-Gateway-Secret") == GATEWAY_SECRET and headers.get("X-Remote-User")
    if path != "/mlflow/api/3.0/mlflow/users/permissions/get" or not known:
        return 401, {}
    if known != query["username"] or query["resource_type"] != "registered_model":
        return 403, {}
    manages = query["resource_id"] in MANAGED.get(known, ())
    return 200, {"allowed": manages, "permission": "MANAGE" if manages else "READ"}


class DoorKeeper:
    """Asked with .as_(name): a client of that person."""

    def __init__(self, folder: Path, database: str, public_url: str = "http://slipway.test") -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.feed_url = f"{self.url}/auth/internal/keys"
        self.hub, self.mlflow = Answers(hub_says), Answers(mlflow_says)
        self.processes = Processes(folder)
        self.secrets = folder / "auth-secrets"
        self.secrets.mkdir()
        self.set_secret("auth_service_token", SERVICE_TOKEN)
        self.set_secret("gateway_secret", GATEWAY_SECRET)
        self.set_secret("api_key_signing_seed", SEED)
        self.set_secret("auth_db_password", PASSWORD)
        self.environment = {
            "PYTHONPATH": str(REPOSITORY / "services/auth"),
            "SECRETS_DIR": str(self.secrets),
            "PUBLIC_URL": public_url,
            "HUB_API_URL": f"{self.hub.url}/hub/api",
            "AUTH_MLFLOW_URL": f"{self.mlflow.url}/mlflow",
            "AUTH_DATABASE_URL": database,
            "AUTH_HOST": "127.0.0.1",
            "AUTH_PORT": str(self.port),
        }
        self.start()

    def set_secret(self, name: str, value: str) -> None:
        (self.secrets / name).write_text(f"{value}\n")

    def start(self) -> None:
        command = [sys.executable, "-m", "doorkeeper"]
        self.process = self.processes.start("auth", command, environment=self.environment)
        self.processes.wait_for("auth", self.process, f"{self.url}/auth/health", below=400)

    def stop(self) -> None:
        self.processes.stop(self.process)

    def stop_all(self) -> None:
        self.processes.stop_all()
        self.hub.stop()
        self.mlflow.stop()

    def as_(self, name: str) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {name}-token"}, timeout=30)

    def make_key(self, who: str = "ada", name: str = "my-app", **wanted: Any) -> dict[str, Any]:
        body = {"name": name, "models": ["red-blue"], **wanted}
        answer = self.as_(who).post("/auth/keys", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres("auth") as server:
        yield server


@pytest.fixture
def database(postgres) -> str:
    return f"postgresql+psycopg2://auth@127.0.0.1:{postgres.port}/postgres"


@pytest.fixture
def door(tmp_path, database) -> Iterator[DoorKeeper]:
    door = DoorKeeper(tmp_path, database)
    yield door
    # The database outlives the test, and a name belongs to who has a live key of it.
    grace = door.as_("grace")
    for key in grace.get("/auth/keys").json()["keys"]:
        grace.delete(f"/auth/keys/{key['id']}")
    door.stop_all()
