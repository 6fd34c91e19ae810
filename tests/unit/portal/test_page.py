"""What the page and its JSON show to whom, without any service behind them."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import httpx
import pytest
from slipway_portal.app import create_app, moment, thousands
from slipway_portal.settings import Settings
from slipway_portal.state import SERVICES, State
from slipway_portal.watch import Watch

NASTY = '<img src=x onerror="alert(1)">'
MODEL = {
    "name": "red-blue",
    "version": "3",
    "wanted": "3",
    "since": "2026-11-24T07:31:05+00:00",
    "runtime": "onnx",
    "signature": {"inputs": [{"name": "Coord_X", "type": "double"}]},
}
VISITORS = {"total": 1234, "models": {"red-blue": {"total": 1234}}}
GATEWAY = {"X-Gateway-Secret": "the-gateways-own-secret"}
ADA = {**GATEWAY, "X-Remote-User": "ada", "X-Remote-Admin": "0"}
ADMIN = {**GATEWAY, "X-Remote-User": "grace", "X-Remote-Admin": "1"}


class Browser:
    """Asks the application in this process; its checks do not run, because its lifespan is not entered."""

    def __init__(self, app) -> None:
        self.transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    def get(self, address: str, method: str = "GET", headers: dict[str, str] | None = None) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://portal") as client:
                return await client.request(method, address, headers=headers)

        return asyncio.run(ask())


@pytest.fixture
def watch() -> Watch:
    """All is well and one model is live."""
    watch = Watch(Settings())
    state = State()
    for key in SERVICES:
        state = state.with_service(key, None)
    watch.state = state.with_production(
        {"models": [MODEL]}, {"total": 1234, "models": {"red-blue": {"total": 1234}}}
    )
    return watch


@pytest.fixture
def portal(watch) -> Browser:
    return Browser(create_app(watch.settings, watch))


def shown(html: str) -> str:
    """The page without what is hidden and without templates."""
    html = re.sub(r"<template.*?</template>", "", html, flags=re.S)
    return re.sub(r"<(\w+)[^>]* hidden>.*?</\1>", "", html, flags=re.S)


def test_anyone_sees_what_is_here_and_one_word_of_state(portal):
    page = portal.get("/")
    assert page.status_code == 200
    html = shown(page.text)
    for address in ("/hub/", "/mlflow/", "/serving/docs", "/serving/models", "/auth/login?next=/"):
        assert f'href="{address}"' in html
    assert "All systems up" in html
    assert "<title>Slipway" in html


def test_nobody_unknown_learns_a_models_name_or_which_service_is_down(portal, watch):
    watch.state = watch.state.with_service("mlflow", "no connection to 10.0.0.7")
    html = portal.get("/").text
    assert "Some services are down" in shown(html)
    for secret in ("red-blue", "1\u202f234", "no connection", "Some services are down:", 'data-status="up"'):
        assert secret not in html
    assert portal.get("/portal/overall.json").json() == {
        "overall": "down",
        "summary": "Some services are down",
    }


def test_state_is_refused_without_the_gateways_word(portal):
    for headers in (
        {},
        {**GATEWAY, "X-Remote-User": ""},
        {**GATEWAY, "X-Remote-Admin": "1"},
        {"X-Remote-User": "ada"},
        {"X-Remote-User": "ada", "X-Gateway-Secret": ""},
        {"X-Remote-User": "ada", "X-Gateway-Secret": "the-gateways-own-secreT"},
    ):
        answer = portal.get("/portal/state.json", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "not_logged_in"
        assert "red-blue" not in answer.text


def test_state_is_given_to_those_the_gateway_names_and_kept_by_no_cache(portal):
    answer = portal.get("/portal/state.json", headers=ADA)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["models"][0]["name"] == "red-blue"
    assert "/serving/predict" in answer.json()["example"]


def test_the_logged_in_see_models_counts_and_their_name(portal):
    html = shown(portal.get("/", headers=ADA).text)
    for known in ("red-blue", "1\u202f234", "24 Nov 2026, 07:31 UTC", "onnx", "ada", "/auth/logout"):
        assert known in html
    assert "/auth/login" not in html


def test_the_names_of_services_that_are_down_are_for_the_logged_in(portal, watch):
    watch.state = watch.state.with_service("auth", "it answers 503")
    assert "Some services are down: Log-in" in shown(portal.get("/", headers=ADA).text)


def test_a_name_without_the_gateways_secret_is_nobodys(portal):
    html = portal.get("/", headers={"X-Remote-User": "grace", "X-Remote-Admin": "1"}).text
    assert "grace" not in html
    assert "red-blue" not in html
    assert "administrator" not in shown(html)


def test_administrators_see_that_they_are(portal):
    assert "administrator" in shown(portal.get("/", headers=ADMIN).text)
    assert "administrator" not in shown(portal.get("/", headers=ADA).text)


def test_the_page_says_how_an_application_gets_its_key(portal):
    html = shown(portal.get("/", headers=ADA).text)
    assert "slipway keys create my-app --models red-blue --days 90" in html
    assert "Authorization: Bearer $SLIPWAY_KEY" in html


def test_only_administrators_are_led_to_the_approval_of_users(portal):
    assert "/hub/authorize" in shown(portal.get("/", headers=ADMIN).text)
    assert "/hub/authorize" not in shown(portal.get("/", headers=ADA).text)
    assert "/hub/authorize" not in shown(portal.get("/", headers={**GATEWAY, "X-Remote-Admin": "1"}).text)


def test_a_models_name_is_text_and_never_markup(portal, watch):
    model = {**MODEL, "name": NASTY, "runtime": NASTY, "since": NASTY, "wanted": NASTY}
    watch.state = watch.state.with_production({"models": [model]}, None)
    html = portal.get("/", headers={**GATEWAY, "X-Remote-User": NASTY}).text
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x") >= 4
    assert 'href="/mlflow/#/models/%3Cimg%20src%3Dx' in html
    assert 'href="/serving/models/%3Cimg%20src%3Dx' in html


def test_nothing_in_production_and_not_knowing_are_told_apart(portal, watch):
    watch.state = watch.state.with_production({"models": []}, {"total": 0, "models": {}})
    assert "Nothing yet" in shown(portal.get("/", headers=ADA).text)
    watch.state = watch.state.with_production(None, None)
    html = shown(portal.get("/", headers=ADA).text)
    assert "does not tell" in html
    assert "Nothing yet" not in html


def test_the_page_brings_its_own_files_and_nothing_else(portal):
    html = portal.get("/", headers=ADMIN).text
    sources = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert all(source.startswith(("/", "#")) and not source.startswith("//") for source in sources)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for source in (source for source in sources if source.startswith("/portal/static/")):
        file = portal.get(source)
        assert file.status_code == 200
        assert "immutable" in file.headers["cache-control"]


@pytest.mark.parametrize("address", ["/", "/portal/state.json", "/portal/static/mark.svg", "/portal/no"])
def test_every_answer_carries_the_security_headers(portal, address):
    headers = portal.get(address).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_an_address_that_does_not_exist_says_so_in_the_same_look(portal):
    for address in ("/portal/nowhere", "/portal/static/nothing.css", "/portal/static/../app.py"):
        answer = portal.get(address)
        assert answer.status_code == 404
        assert "There is nothing at this address" in answer.text
        assert "/portal/static/portal.css" in answer.text
        assert "no-store" in answer.headers["cache-control"]


def test_a_failure_of_the_portal_itself_shows_no_insides(portal, watch):
    watch.state = None
    answer = portal.get("/")
    assert answer.status_code == 500
    assert "The front page has failed" in answer.text
    assert "Traceback" not in answer.text and "NoneType" not in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_post_is_refused_with_what_is_allowed(portal):
    answer = portal.get("/", "POST")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]


def test_the_script_and_the_page_agree_on_names():
    package = Path(__file__).parents[3] / "services/portal/slipway_portal"
    script = (package / "static/portal.js").read_text()
    html = "".join(path.read_text() for path in (package / "templates").glob("*.html"))
    names = set(re.findall(r"\[(data-[a-z-]+)\]", script))
    assert len(names) > 8
    assert all(re.search(rf"\s{name}[\s=>{{]", html) for name in names), names


def test_the_healthcheck_notices_when_checks_have_stopped(portal, watch):
    assert portal.get("/portal/health").status_code == 200
    watch._last_round -= 3600
    assert portal.get("/portal/health").status_code == 503


def test_numbers_and_times_are_written_for_people():
    assert thousands(1234567) == "1\u202f234\u202f567"
    assert moment("2026-11-04T07:05:00+00:00") == "4 Nov 2026, 07:05 UTC"
    assert moment("yesterday") == "yesterday"
