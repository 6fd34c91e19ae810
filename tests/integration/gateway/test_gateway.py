"""The gateway's own configuration in a real Caddy, told by variables where to listen and who is behind it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Processes, free_port, program

CADDYFILE = Path(__file__).parents[3] / "services/gateway/Caddyfile"
BEHIND = ("proxy", "auth", "mlflow", "serving", "portal")


class Behind(ThreadingHTTPServer):
    """Stands where a service would: answers with its name and the request that reached it."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = self.headers.get("Authorization") == "Bearer ann"
        asked = self.path == "/auth/verify"
        self.send_response(401 if asked and not known else 200)
        if asked and known:
            self.send_header("X-Remote-User", "ann")
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.wfile.write(json.dumps({"by": self.server.name, "path": self.path, **headers}).encode())

    def log_message(self, *_: object) -> None:
        pass


class Gateway:
    def __init__(self, folder: Path, processes: Processes) -> None:
        self.port, self.notebooks_port = free_port(), free_port()
        self.folder = folder
        behind = {name: Behind(name) for name in BEHIND}
        self.process = processes.start(
            "gateway",
            [program("caddy"), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            environment={
                "SITE_ADDRESS": f"http://:{self.port}",
                "NOTEBOOKS_ADDRESS": f"http://:{self.notebooks_port}",
                "GATEWAY_BIND": "127.0.0.1",
                "XDG_DATA_HOME": str(folder / "data"),
                "XDG_CONFIG_HOME": str(folder / "config"),
                **{
                    f"{name.upper()}_UPSTREAM": f"127.0.0.1:{server.server_address[1]}"
                    for name, server in behind.items()
                },
            },
        )
        processes.wait_for(
            "gateway", self.process, f"http://127.0.0.1:{self.notebooks_port}/gateway/health", below=400
        )

    def get(self, path: str, at: int | None = None, **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{at or self.port}{path}"
        return httpx.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway für alle")
    processes = Processes(folder)
    try:
        yield Gateway(folder, processes)
    finally:
        processes.stop_all()


@pytest.mark.parametrize("at", ["port", "notebooks_port"])
@pytest.mark.parametrize(
    ("path", "by", "arrives_as"),
    [
        ("/hub/home", "proxy", "/hub/home"),
        ("/user/ann/lab", "proxy", "/user/ann/lab"),
        ("/auth/whoami", "auth", "/auth/whoami"),
        ("/mlflow/version", "mlflow", "/mlflow/version"),
        ("/serving/models", "serving", "/models"),
        ("/", "portal", "/"),
    ],
)
def test_each_path_reaches_the_service_that_a_variable_names(gateway, at, path, by, arrives_as):
    answer = gateway.get(path, getattr(gateway, at), Authorization="Bearer ann").json()
    assert (answer["by"], answer["path"]) == (by, arrives_as)


def test_nobody_can_say_themselves_who_they_are(gateway):
    claim = {"X_Remote_User": "admin", "X_Remote_Admin": "1", "X_Remote_Groups": "admins"}
    for path in ("/hub/home", "/serving/models", "/auth/whoami", "/"):
        answer = gateway.get(path, **claim).json()
        assert not [name for name in answer if name.startswith("x-remote-")], path
    answer = gateway.get("/mlflow/", Authorization="Bearer ann", **claim).json()
    assert {name: answer[name] for name in answer if name.startswith("x-remote-")} == {"x-remote-user": "ann"}


def test_who_is_unknown_does_not_reach_mlflow(gateway):
    answer = gateway.get("/mlflow/")
    assert answer.status_code == 401
    assert answer.json()["by"] == "auth"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "slipway.example.org"])
def test_any_name_of_the_machine_will_do(gateway, name):
    assert gateway.get("/", Host=name).json()["by"] == "portal"


def test_it_listens_on_no_other_interface(gateway):
    for port in (gateway.port, gateway.notebooks_port):
        for address in other_addresses():
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=2).close()


def other_addresses() -> list[str]:
    """Addresses of this machine by which it would be reached if it listened on all."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    return [address for address in ("127.0.0.2", "::1", *sorted(found)) if address != "127.0.0.1"]


def test_a_token_in_an_address_is_not_in_the_log(gateway):
    gateway.get("/hub/one-time-login?token=very-secret-indeed")
    assert "very-secret-indeed" not in (gateway.folder / "gateway.log").read_text()


def test_it_keeps_what_it_writes_in_the_folders_it_was_given_and_stops_when_told(tmp_path):
    processes = Processes(tmp_path)
    gateway = Gateway(tmp_path, processes)
    processes.stop(gateway.process)
    assert gateway.process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} <= {"gateway.log", "data", "config"}
    assert "enabling automatic TLS" not in (tmp_path / "gateway.log").read_text()


def test_without_variables_it_is_the_gateway_of_the_compose_stack():
    names = ("GATEWAY_BIND", "NOTEBOOKS_ADDRESS", *(f"{name.upper()}_UPSTREAM" for name in BEHIND))
    done = subprocess.run(
        [program("caddy"), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env={**{k: v for k, v in os.environ.items() if k not in names}, "SITE_ADDRESS": ":80"},
        capture_output=True,
        text=True,
        check=True,
    )
    servers = json.loads(done.stdout)["apps"]["http"]["servers"]
    assert sorted(server["listen"] for server in servers.values()) == [[":80"], [":8081"]]
    dialled = set(re.findall(r'"dial":"([^"]+)"', done.stdout))
    assert dialled == {"proxy:8000", "auth:8000", "mlflow:5000", "serving:8000", "portal:8000"}
