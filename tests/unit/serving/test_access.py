"""The access log and the ids of requests: what is in a line, what never is, and how many there are."""

import asyncio
import json
import logging
from types import SimpleNamespace

import httpx
import pytest
from slipway_serving.access import Access
from slipway_serving.identity import application, person
from slipway_serving.logs import JsonLines
from slipway_serving.metrics import Metrics
from slipway_serving.observations import Exchange, Observations
from slipway_serving.registry import Target
from slipway_serving.visitors import Visitors

SHOP = application("shop", "key-1", ["a"])
MODEL = SimpleNamespace(name="a", version="2", target=Target("a", "2", 0))


@pytest.fixture(autouse=True)
def lines(caplog):
    caplog.set_level(logging.INFO, "slipway_serving.access")
    return lambda: [json.loads(JsonLines().format(record)) for record in caplog.records]


class Server:
    """What it is told to be: a status, and whom and what it tells of."""

    def __init__(self, share=1.0, draw=lambda: 0.5, status=200, outcome="ok", caller=SHOP):
        self.observations = Observations(Metrics(), Visitors(SimpleNamespace()))
        self.status, self.outcome, self.caller = status, outcome, caller
        self.app = Access(self.handle, share, draw)
        self.start = {"type": "http.response.start", "headers": [(b"content-type", b"text/plain")]}

    async def handle(self, scope, receive, send):
        scope.setdefault("state", {})["caller"] = self.caller
        if scope["path"].endswith("/predict"):
            self.observations.note(
                Exchange(MODEL, "predict", "canary", self.outcome, self.status, 3, 0.002, 0.001, self.caller)
            )
        elif self.caller is None:
            self.observations.refused(self.outcome)
        await send({**self.start, "status": self.status})
        await send({"type": "http.response.body", "body": b""})

    def ask(self, *paths, headers=None):
        async def asked():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://serving") as client:
                return [await client.post(path, headers=headers) for path in paths]

        return asyncio.run(asked())


def test_a_line_says_what_was_asked_by_whom_and_how_it_ended(lines):
    Server().ask(
        "/models/a/predict?debug=hush", headers={"X-Request-Id": "trace-7", "Authorization": "Bearer hush"}
    )
    (line,) = lines()
    assert line.pop("ms") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "slipway_serving.access",
        "message": "request",
        "method": "POST",
        "path": "/models/a/predict",
        "status": 200,
        "request_id": "trace-7",
        "caller": "shop",
        "caller_kind": "application",
        "key_id": "key-1",
        "model": "a",
        "version": "2",
        "by": "canary",
        "route": "predict",
        "outcome": "ok",
        "rows": 3,
        "queue_ms": 1.0,
    }


def test_a_key_in_the_path_is_in_no_line(lines):
    Server(caller=person("ada")).ask("/models/slipway_eyJhbGciOi.J9-x_y/nothing")
    assert lines()[0]["path"] == "/models/slipway_…/nothing"


def test_who_was_refused_at_the_door_has_a_line_with_the_reason(lines):
    Server(status=401, outcome="revoked_key", caller=None, share=1e-9).ask("/models")
    assert [(line["status"], line["outcome"], line["caller"]) for line in lines()] == [
        (401, "revoked_key", None)
    ]


@pytest.mark.parametrize(
    ("share", "status", "written"), [(0.25, 200, 5), (0.25, 422, 20), (0, 500, 0), (1, 200, 20)]
)
def test_a_share_of_requests_is_written_and_every_error(share, status, written, lines):
    draws = iter([i / 20 for i in range(20)])
    Server(share, lambda: next(draws), status).ask(*["/models/a/predict"] * 20)
    assert len(lines()) == written


def test_every_answer_has_an_id_the_callers_own_where_it_is_sane():
    server = Server(share=0)
    first, second = server.ask("/models", "/models")
    assert len({first.headers["x-request-id"], second.headers["x-request-id"]}) == 2
    assert len(server.start["headers"]) == 1, "what an application sends again and again is not changed"
    for sent in ("4bf92f3577b34da6", "a/b:c=1"):
        assert server.ask("/models", headers={"X-Request-Id": sent})[0].headers["x-request-id"] == sent
    for sent in ("", "x" * 129, "two words", 'a"b', "é"):
        answer = server.ask("/models", headers=[("X-Request-Id", sent.encode())])[0]
        assert answer.headers["x-request-id"].startswith(first.headers["x-request-id"].partition("-")[0])
