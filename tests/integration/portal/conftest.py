"""The portal as a process, and real HTTP servers in place of the services it asks."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).parents[3]
GATEWAY_SECRET, READER_TOKEN = "the-gateways-own-secret", "the-token-that-only-reads"
TIMEOUT_SECONDS = 0.8
CHECK_SECONDS = 0.3

MODELS = {
    "models": [
        {
            "name": "red-blue",
            "version": "3",
            "alias": "production",
            "state": "live",
            "wanted": "3",
            "since": "2026-11-24T07:31:05+00:00",
            "runtime": "onnx",
            "signature": {
                "inputs": [
                    {"name": "Coord_X", "type": "double", "required": True},
                    {"name": "Coord_Y", "type": "double", "required": True},
                ]
            },
        }
    ]
}
VISITORS = {"models": {"red-blue": {"total": 1234, "versions": {"3": 1234}}}, "total": 1234}


class Upstream:
    """One server whose answers a test changes while it runs: {path: body}, a status, a delay, a drip."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.status, self.delay_seconds, self.drips = 200, 0.0, False
        self.asked = 0
        self.for_holders_of: dict[str, str] = {}
        """Paths that are answered only to who sends this as Authorization."""
        self.credentials: set[str | None] = set()
        self.port = 0
        self._stopping = threading.Event()
        self.server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._stopping.clear()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def _handler(upstream) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                upstream.asked += 1
                if upstream._stopping.wait(upstream.delay_seconds):
                    return
                sent = self.headers.get("Authorization")
                upstream.credentials.add(sent)
                if sent != upstream.for_holders_of.get(self.path, sent):
                    self.send_error(401)
                    return
                body = upstream.answers.get(self.path)
                raw = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(upstream.status if body is not None else 404)
                self.end_headers()
                while upstream.drips and not upstream._stopping.wait(0.1):
                    self.wfile.write(b" ")
                self.wfile.write(raw)

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # the portal does not wait for the slow
                    super().handle()

            def log_message(self, *args: object) -> None:
                pass

        return Handler


class Stack:
    """The services and the portal in front of them."""

    def __init__(self, processes, free_port: Callable[[], int]) -> None:
        self.processes = processes
        self.secrets = processes.folder / "secrets"
        self.secrets.mkdir()
        (self.secrets / "gateway_secret").write_text(f"{GATEWAY_SECRET}\n")
        (self.secrets / "serving_reader_token").write_text(f"{READER_TOKEN}\n")
        self.upstreams = {name: Upstream() for name in ("hub", "mlflow", "auth", "serving")}
        self.upstreams["hub"].answers = {"/hub/health": {}}
        self.upstreams["mlflow"].answers = {"/mlflow/health": b"OK"}
        self.upstreams["auth"].answers = {"/auth/health": {"status": "ok"}}
        self.upstreams["serving"].answers = {
            "/ready": {"status": "ready"},
            "/models": MODELS,
            "/visitors": VISITORS,
        }
        holder = f"Bearer {READER_TOKEN}"
        self.upstreams["serving"].for_holders_of = {"/models": holder, "/visitors": holder}
        for upstream in self.upstreams.values():
            upstream.start()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=5, trust_env=False)

    def environment(self) -> dict[str, str]:
        local = {name: f"http://127.0.0.1:{upstream.port}" for name, upstream in self.upstreams.items()}
        return {
            "PYTHONPATH": str(REPOSITORY / "services/portal"),
            "SECRETS_DIR": str(self.secrets),
            "PUBLIC_URL": "https://ml.example.com",
            "PORTAL_HOST": "127.0.0.1",
            "PORTAL_PORT": str(self.port),
            "PORTAL_HUB_HEALTH_URL": f"{local['hub']}/hub/health",
            "PORTAL_MLFLOW_HEALTH_URL": f"{local['mlflow']}/mlflow/health",
            "PORTAL_AUTH_HEALTH_URL": f"{local['auth']}/auth/health",
            "PORTAL_SERVING_URL": local["serving"],
            "PORTAL_CHECK_SECONDS": str(CHECK_SECONDS),
            "PORTAL_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            # A proxy for the outside world must not be asked for services of the inside.
            "HTTP_PROXY": "http://127.0.0.1:9",
            "http_proxy": "http://127.0.0.1:9",
        }

    def start(self) -> None:
        command = [sys.executable, "-m", "slipway_portal"]
        self.process = self.processes.start("portal", command, environment=self.environment())
        self.processes.wait_for("portal", self.process, f"{self.url}/portal/health")

    def get(self, path: str, user: str | None = None) -> httpx.Response:
        headers = {"X-Remote-User": user, "X-Gateway-Secret": GATEWAY_SECRET} if user else {}
        return self.client.get(path, headers=headers)

    def state(self) -> dict:
        return self.get("/portal/state.json", user="ada").json()

    def wait_until(self, true: Callable[[dict], bool], seconds: float = 10) -> dict:
        """The first state for which `true`; fails with the last one otherwise."""
        deadline = time.monotonic() + seconds
        while not true(state := self.state()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s; the last state was {json.dumps(state, indent=1)}")
            time.sleep(0.05)
        return state


@pytest.fixture
def stack(processes, free_port) -> Iterator[Stack]:
    stack = Stack(processes, free_port)
    try:
        stack.start()
        yield stack
    finally:
        stack.client.close()
        for upstream in stack.upstreams.values():
            upstream.stop()
