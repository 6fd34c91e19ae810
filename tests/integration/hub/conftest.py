"""A real hub, its real proxy and the door-keeper as processes, joined as the gateway joins them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import Processes, free_port, program

REPOSITORY = Path(__file__).parents[3]
# The hub's package is installed in its own image only.
sys.path.insert(0, str(REPOSITORY / "jupyterhub/hub"))

PUBLIC_URL = "http://slipway.test"
ADMIN_PASSWORD = "abcd-efgh-jkmn-pqrs"

SITE_CONFIG = """
# Notebooks as processes: an HTTP server that shows its environment stands for JupyterLab.
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = [{python!r}, {server!r}]
c.SimpleLocalProcessSpawner.home_dir_template = {home!r} + "/{{username}}"
"""

# A hub that stops leaves notebooks running, as it should: these end with the file beside them.
SERVER = """
import http.server, json, os, threading, time
from pathlib import Path
from urllib.parse import urlsplit

def end_with_this_file():
    while Path(__file__).exists():
        time.sleep(0.5)
    os._exit(0)

threading.Thread(target=end_with_this_file, daemon=True).start()

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())
    def log_message(self, *args):
        pass

url = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
http.server.HTTPServer((url.hostname, url.port), Answer).serve_forever()
"""


class Platform:
    """The gateway's rules, as a transport: which path goes where, and who is asked before."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.settings = folder, settings
        self.ports = {name: free_port() for name in ("proxy", "proxy_api", "hub", "auth")}
        self.processes = Processes(folder)
        self.secrets_dir = folder / "secrets"
        self.secrets_dir.mkdir()
        for name, value in {
            "hub_cookie_secret": secrets.token_hex(32),
            "hub_crypt_key": secrets.token_hex(32),
            "hub_admin_password": ADMIN_PASSWORD,
            "proxy_auth_token": secrets.token_urlsafe(32),
            "auth_service_token": secrets.token_urlsafe(32),
            "hub_operator_token": secrets.token_urlsafe(32),
        }.items():
            (self.secrets_dir / name).write_text(f"{value}\n")
        (folder / "config.d").mkdir()
        (folder / "server.py").write_text(SERVER)
        (folder / "config.d" / "processes.py").write_text(
            SITE_CONFIG.format(python=sys.executable, server=str(folder / "server.py"), home=str(folder))
        )

    @property
    def environment(self) -> dict[str, str]:
        local = {name: f"http://127.0.0.1:{port}" for name, port in self.ports.items()}
        return {
            "SECRETS_DIR": str(self.secrets_dir),
            "PUBLIC_URL": PUBLIC_URL,
            "HUB_URL": local["hub"],
            "HUB_BIND_URL": local["hub"],
            "HUB_CONNECT_URL": local["hub"],
            "HUB_API_URL": f"{local['hub']}/hub/api",
            "HUB_DB_URL": f"sqlite:///{self.folder}/hub.sqlite",
            "HUB_CONFIG_DIR": str(self.folder / "config.d"),
            "PROXY_API_URL": local["proxy_api"],
            "PROXY_IP": "127.0.0.1",
            "PROXY_PORT": str(self.ports["proxy"]),
            "PROXY_API_IP": "127.0.0.1",
            "PROXY_API_PORT": str(self.ports["proxy_api"]),
            "AUTH_HOST": "127.0.0.1",
            "AUTH_PORT": str(self.ports["auth"]),
            "AUTH_CACHE_SECONDS": "0",
            "NOTEBOOK_IDLE_SECONDS": "3600",
            # All people of these tests come from one address.
            "SIGNUPS_PER_HOUR": "1000",
            "PYTHONPATH": f"{REPOSITORY / 'jupyterhub/hub'}:{REPOSITORY / 'services/auth'}",
            **self.settings,
        }

    def start(self, proxy_packages: Path) -> None:
        path = f"{proxy_packages / 'node_modules/.bin'}:{os.environ['PATH']}"
        proxy = self.processes.start(
            "proxy",
            ["sh", str(REPOSITORY / "jupyterhub/proxy/start.sh")],
            environment={**self.environment, "PATH": path},
        )
        self.processes.wait_for("proxy", proxy, f"http://127.0.0.1:{self.ports['proxy_api']}/api/routes")
        self.start_hub()
        auth = self.processes.start(
            "auth", [sys.executable, "-m", "doorkeeper"], environment=self.environment
        )
        self.processes.wait_for("auth", auth, f"http://127.0.0.1:{self.ports['auth']}/auth/health", below=400)

    def start_hub(self) -> None:
        config = str(REPOSITORY / "jupyterhub/hub/jupyterhub_config.py")
        self.hub = self.processes.start(
            "hub", [sys.executable, "-m", "jupyterhub", "--config", config], environment=self.environment
        )
        ready = f"http://127.0.0.1:{self.ports['hub']}/hub/ready"
        self.processes.wait_for("hub", self.hub, ready, below=400)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a module of ours beside the services, as `docker compose exec` would."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def stop(self) -> None:
        (self.folder / "server.py").unlink()
        self.processes.stop_all()

    def browser(self, address: str = "192.0.2.1") -> Browser:
        return Browser(self, address)


class Gateway(httpx.BaseTransport):
    """As Caddy, it says which address a visitor has, whatever they say themselves."""

    def __init__(self, ports: dict[str, int], address: str) -> None:
        self.ports, self.address, self.http = ports, address, httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        request.headers["X-Forwarded-For"] = self.address
        if path.startswith("/auth"):
            return self.pass_on(request, self.ports["auth"])
        if path.startswith("/mlflow"):
            return self.ask_the_doorkeeper(request)
        if path.startswith(("/hub", "/user", "/services")):
            return self.pass_on(request, self.ports["proxy"])
        return httpx.Response(200, text="the portal")

    def ask_the_doorkeeper(self, request: httpx.Request) -> httpx.Response:
        """As Caddy's forward_auth: a GET with the request's headers; 2xx goes on, all else is the answer."""
        headers = httpx.Headers(request.headers)
        headers["X-Forwarded-Method"] = request.method
        headers["X-Forwarded-Uri"] = request.url.raw_path.decode()
        headers.pop("content-length", None)
        asking = httpx.Request("GET", f"{PUBLIC_URL}/auth/verify", headers=headers)
        answer = self.pass_on(asking, self.ports["auth"])
        if not answer.is_success:
            return answer
        passed = {k: v for k, v in answer.headers.items() if k.startswith("x-remote-")}
        return httpx.Response(200, json=passed)

    def pass_on(self, request: httpx.Request, port: int) -> httpx.Response:
        url = request.url.copy_with(host="127.0.0.1", port=port)
        return self.http.handle_request(
            httpx.Request(request.method, url, headers=request.headers, stream=request.stream)
        )


class Browser(httpx.Client):
    """What a person does: opens pages, fills in their forms."""

    def __init__(self, platform: Platform, address: str) -> None:
        super().__init__(
            transport=Gateway(platform.ports, address),
            base_url=PUBLIC_URL,
            follow_redirects=True,
            timeout=60,
            headers={"Accept": "text/html"},
        )

    def submit(self, page: str, to: str | None = None, **fields: str) -> httpx.Response:
        """Opens a page, takes its form's XSRF token, and posts the form."""
        form = self.get(page)
        found = re.search(r'name="_xsrf" value="([^"]+)"', form.text)
        assert found, f"{page} has no form ({form.status_code}): {form.text[:400]}"
        return self.post(
            to or page,
            data={"_xsrf": found.group(1), **fields},
            headers={"Origin": PUBLIC_URL, "Referer": f"{PUBLIC_URL}{page}"},
        )

    def sign_up(self, username: str, password: str, again: str | None = None) -> httpx.Response:
        return self.submit(
            "/hub/signup",
            username=username,
            signup_password=password,
            signup_password_confirmation=password if again is None else again,
        )

    def log_in(self, username: str, password: str) -> httpx.Response:
        """Ends on /hub/home when it worked; `next` keeps the hub from starting a server."""
        return self.submit("/hub/login?next=/hub/home", username=username, password=password)


@pytest.fixture(scope="session")
def proxy_packages(tmp_path_factory) -> Path:
    """configurable-http-proxy as the image has it."""
    folder = tmp_path_factory.mktemp("proxy")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(REPOSITORY / "jupyterhub/proxy" / name, folder)
    command = [program("npm"), "ci", "--omit=dev", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def platform(proxy_packages, tmp_path_factory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("hub"))
    try:
        platform.start(proxy_packages)
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def browser(platform) -> Iterator[Browser]:
    with platform.browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def admin(platform) -> Iterator[Browser]:
    with platform.browser() as browser:
        browser.name = "admin"
        assert browser.log_in("admin", ADMIN_PASSWORD).url.path == "/hub/home"
        yield browser


@pytest.fixture
def person(platform, admin) -> Iterator[Browser]:
    """Somebody who signed up, was approved and is logged in; `.name` and `.password` are known."""
    with platform.browser() as browser:
        browser.name, browser.password = f"user-{secrets.token_hex(3)}", secrets.token_urlsafe(12)
        browser.sign_up(browser.name, browser.password)
        admin.submit("/hub/authorize", f"/hub/authorize/{browser.name}", action="approve")
        assert browser.log_in(browser.name, browser.password).url.path == "/hub/home"
        yield browser
