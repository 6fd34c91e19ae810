"""The gateway's own configuration in a real Caddy, with small servers where its services would be."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest

from tests.support.processes import Processes, eventually, free_port, program

CADDYFILE = Path(__file__).parents[3] / "services/gateway/Caddyfile"
BEHIND = ("proxy", "auth", "mlflow", "serving", "portal")
SECRET = "the gateway's own, of this test"
KEY = "Bearer slipway_an.application.s-key"


class Behind(ThreadingHTTPServer):
    """Stands where a service would: answers with its name and the request that reached it."""

    daemon_threads = True

    def __init__(self, name: str) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.name, self.asked = name, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """A gateway that closes its connections at the end is no error."""


class Answer(BaseHTTPRequestHandler):
    """Who sends `Bearer ann` is Ann. A path may ask for more: see below; an upgrade becomes an echo."""

    server: Behind
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self.echo()
            return
        size = int(self.headers.get("Content-Length") or 0)
        received = len(self.rfile.read(size))
        if "hangs-up" in self.path:
            self.close_connection = True
            return
        if "slow" in self.path:
            time.sleep(3)
        known = self.headers.get("Authorization") == "Bearer ann"
        asked = self.path == "/auth/verify"
        sent = [[name.lower(), value] for name, value in self.headers.items()]
        body = {"by": self.server.name, "path": self.path, "received": received, "sent": sent}
        self.send_response(401 if asked and not known else 200)
        if asked and known:
            self.send_header("X-Remote-User", "ann")
        if "policy" in self.path:
            self.send_header("Content-Security-Policy", "the service's own")
        if "cookies" in self.path:
            self.send_header("Set-Cookie", "_xsrf=1|2; Path=/user/ann/")
            self.send_header("Set-Cookie", "jupyterhub-user-ann=3; HttpOnly; Path=/user/ann/; Secure")
        if "leads" in self.path:
            self.send_header("Location", unquote(self.path.partition("to=")[2]))
        self.say(json.dumps({**body, **dict(sent)}).encode())

    do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_GET

    def say(self, body: bytes) -> None:
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def echo(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header(
            "Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        )
        self.end_headers()
        while received := self.connection.recv(1024):
            self.connection.sendall(received)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Gateway:
    """`settings` are variables of the gateway's; `patience` are seconds in place of its own time limits."""

    def __init__(
        self, folder: Path, processes: Processes, patience: float | None = None, **settings: str
    ) -> None:
        self.folder, self.patience = folder, patience
        self.port, self.https_port, self.notebooks_port = free_port(), free_port(), free_port()
        (folder / "secrets").mkdir(exist_ok=True)
        (folder / "secrets/gateway_secret").write_text(f"{SECRET}\n")
        self.behind = {name: Behind(name) for name in BEHIND}
        environment = {
            "SITE_ADDRESS": f"http://:{self.port}",
            "NOTEBOOKS_ADDRESS": f"http://:{self.notebooks_port}",
            "GATEWAY_BIND": "127.0.0.1",
            "SECRETS_DIR": str(folder / "secrets"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            **{
                f"{name.upper()}_UPSTREAM": f"127.0.0.1:{server.server_address[1]}"
                for name, server in self.behind.items()
            },
            "SERVING_UPSTREAM_HOST": "127.0.0.1",
            "SERVING_UPSTREAM_PORT": str(self.behind["serving"].server_address[1]),
            **settings,
        }
        config = folder / "config.json"
        config.write_text(json.dumps(self.for_a_test(adapted(environment))))
        self.process = processes.start(
            "gateway", [program("caddy"), "run", "--config", str(config)], environment=environment
        )
        processes.wait_for(
            "gateway", self.process, f"http://127.0.0.1:{self.notebooks_port}/gateway/health", below=400
        )

    def for_a_test(self, config: dict) -> dict:
        """A site's ports are 80 and 443, which tests may not have; nor do they wait for minutes."""
        http = config["apps"]["http"]
        for name, port in (("http", self.port), ("https", self.https_port)):
            http[f"{name}_port"] = port
        for server in http["servers"].values():
            if self.patience:
                for limit in ("read_header_timeout", "idle_timeout"):
                    server[limit] = int(self.patience * 1e9)
            server["listen"] = [
                re.sub(":443$", f":{self.https_port}", re.sub(":80$", f":{self.port}", one))
                for one in server["listen"]
            ]
        return config

    def get(self, path: str, at: int | None = None, **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{at or self.port}{path}"
        return httpx.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def raw(self, target: str, *headers: str, method: str = "GET", at: int | None = None) -> Raw:
        """A request as it is written: no client makes the path tidy or joins headers."""
        with socket.create_connection(("127.0.0.1", at or self.port), timeout=20) as connection:
            lines = [
                f"{method} {target} HTTP/1.1",
                "Host: slipway.example.org",
                "Connection: close",
                *headers,
            ]
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            return Raw(read_all(connection))

    @property
    def log(self) -> str:
        return (self.folder / "gateway.log").read_text()


class Raw:
    def __init__(self, answer: bytes) -> None:
        head, _, self.body = answer.partition(b"\r\n\r\n")
        first, *self.headers = head.decode().split("\r\n")
        self.status_code = int(first.split()[1]) if first else 0

    def reached(self) -> dict:
        """What the service that answered saw of the request; nothing if the gateway answered itself."""
        return json.loads(self.body) if self.body.startswith(b"{") else {}


def adapted(environment: dict[str, str]) -> dict:
    """The Caddyfile as Caddy understands it, with these variables and none of the gateway's but these."""
    ours = ("GATEWAY_", "NOTEBOOKS_", "SITE_", "TRUSTED_", "PUBLIC_URL", *(name.upper() for name in BEHIND))
    others = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [program("caddy"), "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
        env={**others, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_all(connection: socket.socket | ssl.SSLSocket) -> bytes:
    answer = b""
    while received := connection.recv(65536):
        answer += received
    return answer


@pytest.fixture(scope="module")
def gateway(tmp_path_factory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway für alle")
    processes = Processes(folder)
    try:
        yield Gateway(folder, processes)
    finally:
        processes.stop_all()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Gateway]:
    """`slipway.test` over HTTPS, with certificates of Caddy's own authority."""
    folder = tmp_path_factory.mktemp("site")
    processes = Processes(folder)
    try:
        site = Gateway(
            folder,
            processes,
            SITE_ADDRESS="slipway.test",
            SITE_TLS="internal",
            PUBLIC_URL="https://slipway.test:8443",
        )
        assert eventually(authority(site).exists, 20), site.log
        yield site
    finally:
        processes.stop_all()


def authority(site: Gateway) -> Path:
    """The root certificate, which visitors' machines are given."""
    return site.folder / "data/caddy/pki/authorities/local/root.crt"
