"""Serving as the outside reaches it: through the real gateway, by key and by a browser that is logged in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.auth.conftest import DoorKeeper
from tests.support.browser import chromium
from tests.support.processes import Processes, free_port, program

CADDYFILE = Path(__file__).parents[3] / "services/gateway/Caddyfile"
POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}
PREDICT = "/serving/models/red-blue/predict"


class Gateway:
    def __init__(self, folder: Path, door: DoorKeeper, serving, port: int) -> None:
        self.door, self.serving = door, serving
        self.url = f"http://127.0.0.1:{port}"
        self.processes = Processes(folder)
        internal = free_port()
        process = self.processes.start(
            "gateway",
            [program("caddy"), "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
            environment={
                "SITE_ADDRESS": f"http://:{port}",
                "NOTEBOOKS_ADDRESS": f"http://:{internal}",
                "GATEWAY_BIND": "127.0.0.1",
                "SECRETS_DIR": str(door.secrets),
                "AUTH_UPSTREAM": f"127.0.0.1:{door.port}",
                "SERVING_UPSTREAM_HOST": "127.0.0.1",
                "SERVING_UPSTREAM_PORT": str(serving.port),
                "XDG_DATA_HOME": str(folder),
                "XDG_CONFIG_HOME": str(folder),
            },
        )
        self.processes.wait_for("gateway", process, f"http://127.0.0.1:{internal}/gateway/health", below=400)

    def post(self, path: str = PREDICT, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, json=POINT, headers=sent, timeout=30)


@pytest.fixture(scope="module")
def gateway(registry, start_serving, tmp_path_factory) -> Iterator[Gateway]:
    registry.production(red_blue="1", mixed="1")
    folder, port = tmp_path_factory.mktemp("gateway"), free_port()
    door = DoorKeeper(folder, f"sqlite:///{folder}/keys.db", public_url=f"http://127.0.0.1:{port}")
    serving = start_serving(
        folder,
        SERVING_KEYS_URL=door.feed_url,
        SERVING_KEYS_POLL_SECONDS="0.5",
        SERVING_ROOT_PATH="/serving",
    )
    gateway = Gateway(folder, door, serving, port)
    yield gateway
    gateway.processes.stop_all()
    serving.stop()
    door.stop_all()


@pytest.fixture
def key(gateway, helpers) -> str:
    helpers.eventually(lambda: gateway.serving.get("/ready").json()["keys"]["known"], what="the feed")
    return gateway.door.make_key(name="my-app")["key"]


def test_a_key_made_at_the_gateway_predicts_through_it_also_with_the_door_keeper_away(gateway, key):
    ada = {"Authorization": "Bearer ada-token"}
    wanted = {"name": "my-app", "models": ["red-blue"]}
    made = httpx.post(f"{gateway.url}/auth/keys", json=wanted, headers=ada)
    assert made.status_code == 201
    assert gateway.post(Authorization=f"Bearer {made.json()['key']}").json()["predictions"] == ["Red"]
    gateway.door.stop()
    try:
        assert gateway.post(Authorization=f"Bearer {key}").json()["predictions"] == ["Red"]
        assert gateway.post(Authorization=f"Bearer {key[:-9]}").status_code == 401
        assert httpx.get(f"{gateway.url}/serving/health").status_code == 200
        assert gateway.post(Authorization="Bearer ada-token").status_code >= 500
    finally:
        gateway.door.start()


@pytest.mark.parametrize(
    "claim",
    [
        {"X_Remote_User": "ada", "X_Gateway_Secret": "guess"},
        {"X_Remote_User": "ada", "X_Remote_Admin": "1"},
        {"X_Remote_User": "ada", "Authorization": "Bearer slipway_a.b.c"},
        {"X_Remote_User": "ada", "Authorization": "Bearer nobodys-token"},
    ],
)
def test_who_says_to_be_somebody_stays_outside(gateway, claim):
    assert gateway.post(**claim).status_code == 401
    gateway_secret = (gateway.door.secrets / "gateway_secret").read_text().strip()
    assert gateway.post(**{**claim, "X_Gateway_Secret": gateway_secret}).status_code == 401


def test_a_person_predicts_by_token(gateway):
    assert gateway.post(Authorization="Bearer ada-token").json()["predictions"] == ["Red"]


def test_what_is_internal_is_not_there(gateway):
    for path in ("/auth/internal/keys", "/auth/internal", "/auth/verify", "/auth/health", "/serving/metrics"):
        assert httpx.get(gateway.url + path).status_code == 404, path


@pytest.mark.browser
def test_in_a_browser_that_is_logged_in_the_docs_try_a_model_out_without_a_key(gateway):
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([{"name": "slipway-session", "value": "ada-token", "url": gateway.url}])
        page = context.new_page()
        said = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(f"{gateway.url}/serving/docs")
        page.locator("#operations-red-blue-predict_red-blue button.opblock-summary-control").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response(f"**{PREDICT}") as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
        sent = answered.value.request.all_headers()
        assert sent["referer"] == f"{gateway.url}/serving/docs"
        assert "authorization" not in sent
        assert page.get_by_role("button", name="Authorize").is_visible()
    assert said == []
