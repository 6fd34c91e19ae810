"""The page in a real browser: what portal.js makes of the state, for a guest, a member, an administrator.

The browser's requests get what the gateway and the door-keeper would add: X-Remote-User, and who you are.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.portal.conftest import GATEWAY_SECRET, MODELS
from tests.support import browser

pytestmark = pytest.mark.browser

NASTY = "<img src=x onerror=document.title='pwned'>"
# The script looks every 5 s.
NEXT_LOOK_MS = 12_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visit(chromium, stack) -> Iterator[Callable[..., Page]]:
    """Opens the page as somebody; at the end, no script may have failed and no policy been broken."""
    complaints: list[str] = []
    contexts = []

    def open_as(user: str | None, *, admin: bool = False, width: int = 1280) -> Page:
        context = chromium.new_context(viewport={"width": width, "height": 800})
        contexts.append(context)
        context.set_default_timeout(10_000)
        who = {"user": user, "admin": admin, "groups": []}
        answer = {"status": 200, "json": who} if user else {"status": 401, "json": {}}
        context.route("**/auth/whoami", lambda route: route.fulfill(**answer))
        if user:
            named = {"X-Remote-User": user, "X-Gateway-Secret": GATEWAY_SECRET}
            context.route(
                "**/portal/state.json",
                lambda route: route.continue_(headers={**route.request.headers, **named}),
            )
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console", lambda message: complaints.append(message.text) if message.type == "error" else None
        )
        page.goto(stack.url)
        return page

    yield open_as
    for context in contexts:
        context.close()
    # A guest's 401 and a service that is away are answers, which browsers log as well.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def test_a_guest_sees_the_links_and_one_word(stack, visit):
    stack.wait_until(lambda state: state["overall"] == "up")
    page = visit(None)
    expect(page.get_by_role("status")).to_have_text("All systems up")
    expect(page.get_by_role("link", name="Log in").first).to_be_visible()
    expect(page.get_by_role("link", name="Log out")).to_be_hidden()
    expect(page.get_by_role("link", name="Notebooks")).to_have_attribute("href", "/hub/")
    assert "red-blue" not in page.content()
    stack.upstreams["hub"].stop()
    expect(page.get_by_role("status")).to_have_text("Some services are down", timeout=NEXT_LOOK_MS)


def test_a_member_sees_who_they_are_and_the_state_follow_the_services(stack, visit):
    stack.wait_until(lambda state: state["models"])
    page = visit("ada")
    expect(page.get_by_text("ada", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Log out")).to_be_visible()
    expect(page.get_by_role("link", name="Log in")).to_have_count(0)
    expect(page.get_by_role("link", name="Approve users")).to_be_hidden()
    expect(page.get_by_role("link", name="red-blue")).to_have_attribute("href", "/serving/models/red-blue")
    in_registry = page.get_by_role("link", name="In the registry")
    expect(in_registry).to_have_attribute("href", "/mlflow/#/models/red-blue")
    expect(page.get_by_text("1\u202f234").first).to_be_visible()

    stack.upstreams["mlflow"].stop()
    expect(page.get_by_role("status")).to_have_text(
        "Some services are down: Experiments", timeout=NEXT_LOOK_MS
    )
    expect(page.get_by_text("no connection")).to_be_visible()

    after = copy.deepcopy(MODELS)
    after["models"][0] |= {"version": "4", "wanted": "4"}
    stack.upstreams["serving"].answers["/models"] = after
    expect(page.get_by_text("version 4")).to_be_visible(timeout=NEXT_LOOK_MS)


def test_an_administrator_is_led_to_the_approval_of_users(stack, visit):
    page = visit("grace", admin=True)
    expect(page.get_by_role("link", name="Approve users")).to_have_attribute("href", "/hub/authorize")


def test_a_models_name_stays_text(stack, visit):
    hostile = copy.deepcopy(MODELS)
    hostile["models"][0] |= {"name": NASTY, "runtime": NASTY, "since": NASTY, "wanted": NASTY}
    stack.upstreams["serving"].answers["/models"] = hostile
    stack.wait_until(lambda state: state["models"] and state["models"][0]["name"] == NASTY)
    page = visit(NASTY)
    expect(page.get_by_role("link", name=NASTY)).to_be_visible()
    assert page.locator("main img").count() == 0
    assert page.title().startswith("Slipway")


def test_a_member_whose_session_ends_becomes_a_guest(stack, visit):
    stack.wait_until(lambda state: state["models"])
    page = visit("ada")
    expect(page.get_by_role("link", name="red-blue")).to_be_visible()
    for address in ("**/auth/whoami", "**/portal/state.json"):
        page.context.route(address, lambda route: route.fulfill(status=401, json={}))
    expect(page.get_by_role("link", name="Log in").first).to_be_visible(timeout=NEXT_LOOK_MS)
    expect(page.get_by_role("link", name="red-blue")).to_have_count(0)


def test_a_member_is_told_when_the_door_keeper_is_away(stack, visit):
    stack.wait_until(lambda state: state["models"])
    page = visit("ada")
    expect(page.get_by_role("link", name="red-blue")).to_be_visible()
    page.context.route("**/portal/state.json", lambda route: route.fulfill(status=503, json={}))
    stack.upstreams["auth"].stop()
    expect(page.get_by_role("status")).to_have_text("Some services are down", timeout=NEXT_LOOK_MS)
    expect(page.get_by_text("Checking").first).to_be_visible()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_is_wider_than_the_screen(stack, visit, width):
    long = copy.deepcopy(MODELS)
    long["models"][0] |= {"name": "a-name-without-end-" * 8, "wanted": "4"}
    stack.upstreams["serving"].answers["/models"] = long
    stack.wait_until(lambda state: state["models"] and state["models"][0]["note"])
    page = visit("a-person-with-a-rather-long-name@company.example", admin=True, width=width)
    expect(page.get_by_text("a-name-without-end").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
