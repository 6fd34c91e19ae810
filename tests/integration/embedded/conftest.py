"""The embedded platform's own environment, its hub, its proxy and a notebook server, as processes."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import secrets
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from tornado.httpclient import HTTPRequest
from tornado.ioloop import IOLoop
from tornado.websocket import websocket_connect

from infra.embedded import environment, services, stores, supervisor
from infra.embedded.instance import Instance
from infra.launcher.progress import Screen
from infra.launcher.settings import settings_of
from tests.support.processes import Processes, eventually

WIRE = "v1.kernel.websocket.jupyter.org"
"""What JupyterLab speaks with a kernel."""


@pytest.fixture(scope="session")
def platform_python() -> Path:
    """As `./slipway up` makes it, in its place: nothing to do if it is there."""
    environment.ensure(Screen())
    return environment.python()


class Platform:
    """A hub and its proxy with the variables that the embedded platform gives them, and one person."""

    def __init__(self, folder: Path, user: str) -> None:
        self.user, self.instance = user, Instance("test", folder / "ein Ordner ü")
        self.instance.ensure()
        self.port = services.ports_of(self.instance, keep=False)
        # No gateway here: people come to the proxy itself.
        chosen = settings_of({"HTTP_PORT": str(self.port["proxy"]), "ADMIN_USER": user})
        stores.ensure_secrets(self.instance)
        self.services = {one.name: one for one in services.wanted(chosen, self.instance, self.port)}
        self.processes = Processes(folder)
        self.running: dict[str, subprocess.Popen] = {}
        self.http = httpx.Client(base_url=f"http://localhost:{self.port['proxy']}", timeout=120)

    def start(self, name: str) -> None:
        service = self.services[name]
        everyone = supervisor.environment_of_supervisor(self.instance, environment.PLATFORM, {})
        self.running[name] = self.processes.start(
            name, list(service.command), environment={**everyone, **service.environment}
        )

    def wait(self) -> None:
        for name, process in self.running.items():
            self.processes.wait_for(name, process, self.services[name].health, below=400)

    def log_in(self) -> None:
        """With the one-time password; the token is for the person's own server."""
        password = (self.instance.secrets / "hub/hub_admin_password").read_text().strip()
        page = self.http.get("/hub/login").text
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', page).group(1)
        fields = {"_xsrf": xsrf, "username": self.user, "password": password}
        done = self.http.post("/hub/login?next=/hub/home", data=fields)
        assert done.status_code == 302, done.text
        self.http.get("/hub/home")
        made = self.http.post(
            f"/hub/api/users/{self.user}/tokens",
            headers={
                "X-XSRFToken": self.http.cookies.get("_xsrf", path="/hub/"),
                "Referer": str(self.http.base_url),
            },
            json={},
        )
        assert made.status_code == 201, made.text
        self.http.cookies.clear()
        self.token = made.json()["token"]
        self.http.headers["Authorization"] = f"token {self.token}"

    def start_server(self) -> None:
        # A notebook server itself takes ten megabytes, unless its owner says otherwise.
        own = self.instance.homes / self.user / ".jupyter/jupyter_server_config.json"
        own.parent.mkdir(parents=True)
        more = {"websocket_max_message_size": 2**30}
        own.write_text(json.dumps({"ServerApp": {"tornado_settings": more}}))
        asked = self.http.post(f"/hub/api/users/{self.user}/server")
        assert asked.status_code in (201, 202), asked.text
        assert eventually(lambda: self.server("api/status").status_code == 200, 90), self.processes.log("hub")

    def server(self, path: str, method: str = "GET", **more) -> httpx.Response:
        return self.http.request(method, f"/user/{self.user}/{path}", **more)

    def environment_of_server(self) -> dict[str, str]:
        """The variables that a terminal and a kernel of the notebook server have."""
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get("SLIPWAY_INSTANCE") == str(self.instance.folder) and (
                    one.environ().get("SLIPWAY_ROLE") == "notebook"
                ):
                    return one.environ()
        raise AssertionError("there is no notebook server")

    def peak_memory(self, name: str, anew: bool = False) -> int:
        """MiB that the process has had at most; counted anew, what it has now."""
        process = Path(f"/proc/{self.running[name].pid}")
        if anew:
            (process / "clear_refs").write_text("5")
        return int(re.search(r"VmHWM:\s+(\d+)", (process / "status").read_text()).group(1)) // 1024

    def stop(self) -> None:
        self.http.close()
        self.processes.stop_all()
        for one in psutil.process_iter():
            try:
                if one.environ().get("SLIPWAY_INSTANCE") == str(self.instance.folder):
                    one.kill()
            except psutil.Error:
                continue


class Kernel:
    """A kernel's websocket through the proxy, in JupyterLab's format."""

    def __init__(self, platform: Platform) -> None:
        made = platform.server("api/kernels", "POST", json={"name": "python3"})
        assert made.status_code == 201, made.text
        self.loop = IOLoop(make_current=False)
        address = (
            f"ws://localhost:{platform.port['proxy']}/user/{platform.user}/api/kernels/{made.json()['id']}"
        )
        request = HTTPRequest(f"{address}/channels", headers={"Authorization": f"token {platform.token}"})
        self.socket = self._do(
            lambda: websocket_connect(request, subprotocols=[WIRE], max_message_size=2**30)
        )

    def execute(self, code: str, **expressions: str) -> dict:
        """The reply; `printed` is what the cell has printed."""
        request = uuid.uuid4().hex
        header = {"msg_id": request, "msg_type": "execute_request", "session": uuid.uuid4().hex}
        header |= {"username": "", "version": "5.4", "date": time.strftime("%Y-%m-%dT%H:%M:%SZ")}
        content = {"code": code, "silent": False, "user_expressions": expressions}
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        self._do(lambda: self.socket.write_message(packed("shell", parts), binary=True))
        printed, reply, idle = "", None, False
        while reply is None or not idle:
            channel, parts = unpacked(self._do(self.socket.read_message))
            kind, parent, content = parts[0]["msg_type"], parts[1].get("msg_id"), parts[3]
            if parent != request:
                continue
            printed += content["text"] if kind == "stream" else ""
            reply = content if channel == "shell" else reply
            idle = idle or (kind == "status" and content["execution_state"] == "idle")
        return {**reply, "printed": printed}

    def close(self) -> None:
        async def say_goodbye() -> None:  # in the loop: another test may have left this thread without one
            self.socket.close()

        self._do(say_goodbye)
        self.loop.close()

    def _do(self, start):
        return self.loop.run_sync(start, timeout=120)


def packed(channel: str, parts: list[bytes]) -> bytes:
    """Where each part begins, then the parts: the channel first."""
    parts = [channel.encode(), *parts]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def unpacked(message: bytes) -> tuple[str, list[dict]]:
    (count,) = struct.unpack_from("<Q", message)
    offsets = struct.unpack_from(f"<{count}Q", message, 8)
    parts = [message[begin:end] for begin, end in itertools.pairwise(offsets)]
    return parts[0].decode(), [json.loads(part) for part in parts[1:5]]


@pytest.fixture(scope="session")
def platform(platform_python, tmp_path_factory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("embedded"), "ada")
    try:
        platform.start("proxy")
        platform.start("hub")
        platform.wait()
        platform.log_in()
        platform.start_server()
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def kernel(platform) -> Iterator[Kernel]:
    kernel = Kernel(platform)
    yield kernel
    kernel.close()


@pytest.fixture
def content() -> bytes:
    """A hundred MiB that cannot be made smaller."""
    return secrets.token_bytes(100 * 2**20)


def as_file(content: bytes) -> bytes:
    """What JupyterLab sends to store a file."""
    told = b'{"type": "file", "format": "base64", "content": "'
    return told + base64.b64encode(content) + b'"}'
