"""Who gets in: by key, by the gateway's word, by the token that only reads; and what nobody learns."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import httpx
import pytest
from slipway_serving.api import Parts, create_app
from slipway_serving.errors import Refused
from slipway_serving.guard import Doors
from slipway_serving.identity import application
from slipway_serving.key_feed import FeedState
from slipway_serving.metrics import Metrics
from slipway_serving.observations import Observations
from slipway_serving.operations import general_paths
from slipway_serving.registry import Entry
from slipway_serving.runner import Runner
from slipway_serving.shadow import Shadows
from slipway_serving.shelf import Shelf
from slipway_serving.visitors import Visitors
from slipway_serving.watcher import Look

GATEWAY_SECRET, READER_TOKEN = "the-gateways-own-secret", "the-token-that-only-reads"
KEYS = {
    "slipway_red": application("red-app", "id-1", ["red"]),
    "slipway_all": application("all", "id-2", "*"),
}
ADA = {"X-Gateway-Secret": GATEWAY_SECRET, "X-Remote-User": "ada"}
READER = {"Authorization": f"Bearer {READER_TOKEN}"}


def key(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer slipway_{text}"}


class Keys:
    def known_caller(self, header: bytes):
        return None

    def caller(self, text: str, header: bytes):
        if text == "slipway_early":
            raise Refused("keys_unknown", "try again", None, 5)
        if text not in KEYS:
            raise Refused("foreign_key", "not ours", "Authorization")
        return KEYS[text]


class Store:
    def save(self, source, counts):
        pass

    def others(self, source):
        return {("red", "1", "application", "red-app"): 3, ("green", "1", "person", "ada"): 4}


class Server:
    """The application in this process, with the models red and green; green is the default."""

    def __init__(self, root_path: str = "") -> None:
        shelf = Shelf()
        for name in ("red", "green"):
            entry = Entry(name, 0, {"production": "1"})
            target = entry.target("production")
            shelf.want(entry)
            shelf.place(
                SimpleNamespace(
                    name=name,
                    version="1",
                    target=target,
                    signature=None,
                    params_schema=None,
                    probabilities=False,
                    classes=None,
                    example_rows=None,
                    run_id=None,
                    flavor="sklearn",
                    preparation=None,
                    runtime=SimpleNamespace(name="pyfunc"),
                )
            )
        visitors = Visitors(Store())
        visitors.flush()
        self.metrics, self.runner = Metrics(), Runner(1, 8)
        feed = SimpleNamespace(state=FeedState(known=True, reachable=False, error="http://auth:8000 is away"))
        self.app = create_app(
            Parts(
                shelf,
                SimpleNamespace(ready=True, look=Look(True, "http://mlflow:5000 said no")),
                self.runner,
                visitors,
                self.metrics,
                Observations(self.metrics, visitors),
                Doors(Keys(), GATEWAY_SECRET, READER_TOKEN),
                feed,
                Shadows(lambda *told: None),
                default_model="green",
            )
        )
        self.root_path = root_path

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, root_path=self.root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://serving") as client:
                return await client.request(method, path, headers=headers, **more)

        return asyncio.run(asked())

    def get(self, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.ask("GET", path, headers)


@pytest.fixture
def server() -> Server:
    return Server()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def routes(app) -> list[tuple[str, str]]:
    """Every route there is, mounted files included, with a name put in."""
    found = []
    for route in app.routes:
        path = route.path.replace("{name}", "red") + (
            "/swagger-ui.css" if not hasattr(route, "methods") else ""
        )
        found += [(method, path) for method in sorted(getattr(route, "methods", None) or {"GET"})]
    hot = [path.format(name="red", version="1", alias="production") for path in general_paths()]
    return [*found, *(("POST", path) for path in hot)]


def test_every_route_asks_who_it_is_but_for_those_that_say_how_it_is(server):
    free = {"/health", "/ready", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready"}
    asked = [(method, path) for method, path in routes(server.app) if path not in free]
    assert len(asked) >= 26
    for method, path in [*asked, ("GET", "/nothing"), ("GET", "/health/"), ("POST", "/models/red/predict/")]:
        answer = server.ask(method, path)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"] == 'Bearer realm="slipway"'
        assert method == "HEAD" or "no_credentials" in answer.text
    for path in free:
        assert server.get(path).status_code == 200
        assert server.get(path, key("wrong")).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Remote-User": "ada"},
        {"X-Remote-User": "ada", "X-Gateway-Secret": ""},
        {"X-Remote-User": "ada", "X-Gateway-Secret": "the-gateways-own-secreT"},
        {"X-Remote-User": "", "X-Gateway-Secret": GATEWAY_SECRET},
        {"X-Gateway-Secret": GATEWAY_SECRET},
        {"X-Remote-User": "ada", "X-Remote-Admin": "1", "Cookie": "slipway-session=abc"},
    ],
)
def test_a_name_counts_with_the_gateways_secret_alone(server, headers):
    assert code(server.get("/models", headers)) == (401, "no_credentials")


@pytest.mark.parametrize(
    ("credential", "reason"),
    [
        ("Bearer slipway_wrong", "foreign_key"),
        ("Bearer a-hub-token", "foreign_key"),
        ("Basic c2xpcHdheTp4", "malformed_key"),
        ("Bearer", "foreign_key"),
        ("slipway_all", "malformed_key"),
    ],
)
def test_a_wrong_credential_is_not_rescued_by_the_gateways_word(server, credential, reason):
    answer = server.get("/models", {**ADA, "Authorization": credential})
    assert code(answer) == (401, reason)
    assert reason in server.metrics.text().decode()


def test_keys_that_cannot_be_checked_are_neither_good_nor_wrong(server):
    answer = server.get("/models", key("early"))
    assert code(answer) == (503, "keys_unknown")
    assert answer.headers["retry-after"] == "5"


def test_a_key_sees_its_own_models_and_no_others_name(server):
    assert [one["name"] for one in server.get("/models", key("red")).json()["models"]] == ["red"]
    assert server.get("/visitors", key("red")).json() == {
        "models": {
            "red": {
                "total": 3,
                "versions": {"1": 3},
                "callers": [{"kind": "application", "name": "red-app", "total": 3, "versions": {"1": 3}}],
            }
        },
        "total": 3,
        "unsaved": 0,
    }
    assert list(server.get("/ready", key("red")).json()["models"]) == ["red"]
    document = server.get("/openapi.json", key("red")).text
    assert "/models/red/predict" in document
    assert "green" not in document
    for headers in (key("all"), ADA, READER):
        assert len(server.get("/models", headers).json()["models"]) == 2


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/models/green"),
        ("POST", "/models/green/predict"),
        ("POST", "/models/green/invocations"),
        ("POST", "/predict"),
        ("POST", "/invocations"),
        ("POST", "/models/unheard-of/predict"),
    ],
)
def test_a_key_for_another_model_is_told_which_one_it_is_not_for(server, method, path):
    answer = server.ask(method, path, key("red"), content=b"{}")
    assert code(answer) == (403, "not_for_this_model")
    assert "red-app" in answer.text
    assert ("unheard-of" if "unheard" in path else "green") in answer.json()["error"]["message"]


def test_who_may_use_a_model_comes_as_far_as_its_inputs(server):
    for headers in (key("red"), key("all"), ADA):
        answer = server.ask("POST", "/models/red/predict", headers, content=b"x" * (17 * 2**20))
        assert code(answer) == (413, "body_too_large")


def test_an_unknown_model_names_to_a_key_only_what_it_is_for(server):
    KEYS["slipway_two"] = application("two", "id-3", ["red", "gone"])
    answer = server.ask("POST", "/models/gone/predict", key("two"), content=b"{}")
    assert code(answer) == (404, "unknown_model")
    assert "served are: red" in answer.text
    assert "green" not in answer.text


def test_the_token_that_only_reads_predicts_nothing(server):
    assert server.get("/visitors", READER).status_code == 200
    assert code(server.ask("POST", "/predict", READER, content=b"{}")) == (403, "read_only")


def test_the_unknown_learn_whether_it_is_ready_but_no_name_and_no_reason(server):
    answer = server.get("/ready")
    assert answer.status_code == 200
    state = answer.json()
    assert state["keys"] == {"known": True, "reachable": False, "last_success": None}
    assert "models" not in state
    for inside in ("mlflow", "auth:8000", "red", "green"):
        assert inside not in answer.text
    assert "auth:8000" in server.get("/ready", ADA).text


def test_behind_a_prefix_it_is_the_same():
    server = Server(root_path="/serving")
    assert server.get("/serving/health").status_code == 200
    assert server.get("/serving/models").status_code == 401
    assert server.get("/serving/serving/health").status_code == 401
    assert server.get("/serving/models", key("red")).status_code == 200
    assert server.get("/serving/openapi.json", ADA).json()["servers"] == [{"url": "/serving"}]


def test_openapi_says_where_a_key_goes_and_where_none_is_needed(server):
    document = server.get("/openapi.json", ADA).json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}, {}]
    assert document["paths"]["/health"]["get"]["security"] == []
    assert "security" not in document["paths"]["/models/red/predict"]["post"]
    assert {"401", "403"} <= document["paths"]["/models/red/predict"]["post"]["responses"].keys()
