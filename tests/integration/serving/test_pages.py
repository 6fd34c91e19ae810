"""The pages for people, on a real server and in a real browser: what they say, and what the form does."""

import json
import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.support import browser

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def serving(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="1", mixed="1", tensor="1")
    server = start_serving(tmp_path_factory.mktemp("pages"))
    for _ in range(3):
        assert server.post(
            "/models/red-blue/predict", {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}
        ).is_success
    assert server.post("/models/red-blue/predict", {"inputs": []}).status_code == 422
    return server


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as started:
        yield started


@pytest.fixture
def visit(chromium, serving, helpers):
    """Opens a path as somebody who is logged in; no script may fail and no policy be broken meanwhile."""
    complaints, contexts = [], []

    def open_page(path, width=1280):
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, extra_http_headers=helpers.person
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.goto(serving.url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


@pytest.mark.parametrize("path", ["/models", "/models/red-blue"])
def test_browsers_get_a_page_and_programs_json_at_the_same_address(serving, path):
    page = serving.get(path, headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store" and page.headers["vary"] == "Accept"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=", page.text), "nothing is inline"
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text), "nothing comes from elsewhere"
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9", "text/plain"):
        assert serving.get(path, headers={"Accept": accept}).headers["content-type"] == "application/json"


def test_whoever_may_not_use_a_model_gets_no_page_of_it(serving):
    nobody = {"X-Remote-User": "", **BROWSER}
    assert serving.get("/models/red-blue", headers=nobody).status_code == 401
    page = serving.get("/models/no-such", headers=BROWSER)
    assert page.status_code == 404
    assert "No model no-such is served" in page.text and 'href="red-blue"' in page.text


def test_the_page_says_what_is_live_and_how_it_is_asked(serving):
    page = serving.get("/models/red-blue", headers=BROWSER).text
    facts = serving.get("/models/red-blue").json()
    for words in (
        "version 1",
        facts["runtime"],
        "Coord_X",
        "neighbours",
        "4 requests in the last hour",
        "ada",
    ):
        assert words in page
    assert "3 answered, 1 refused, 0 failed" in page
    assert f"{serving.url}/models/red-blue/predict" in page


@pytest.mark.browser
def test_the_form_asks_the_model_and_shows_its_answer(serving, visit):
    page = visit("/models/red-blue")
    page.get_by_label("Coord_X").fill("9")
    page.get_by_label("Coord_Y").fill("8.5")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Answered in")).to_be_visible()
    answer = json.loads(page.get_by_label("The answer", exact=True).text_content())
    assert (answer["model"], answer["version"], answer["predictions"]) == ("red-blue", "1", ["Red"])
    assert serving.get("/visitors").json()["models"]["red-blue"]["callers"][0]["name"] == "ada"


@pytest.mark.browser
def test_the_form_fits_every_kind_of_column_and_says_what_is_wrong(serving, visit):
    page = visit("/models/mixed")
    page.get_by_label("shop").fill("north")
    page.get_by_label("age").fill("44")
    page.get_by_label("income").fill("")
    page.get_by_label("member").check()
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Refused with 422").or_(page.get_by_text("Answered in"))).to_be_visible()
    page.get_by_label("income").fill("1234.5")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Answered in")).to_be_visible()
    page = visit("/models/tensor")
    page.get_by_label("The body of the request").fill('{"inputs": [[1.0, 2.0]], "surplus": 1}')
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Refused with 4")).to_be_visible()
    expect(page.get_by_label("The answer", exact=True)).to_contain_text("surplus")
    page.get_by_label("The body of the request").fill('{"inputs": [[1.0, 2.0]]}')
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_text("Answered in")).to_be_visible()


@pytest.mark.browser
def test_commands_are_copied_by_a_button(visit):
    page = visit("/models/red-blue")
    page.get_by_role("button", name="Copy").nth(1).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("import os") and "SLIPWAY_KEY" in copied
    compile(copied, "copied", "exec")


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("path", ["/models", "/models/red-blue", "/models/mixed"])
def test_nothing_is_wider_than_the_screen(visit, path, width):
    page = visit(path, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.browser
def test_every_picture_table_and_field_has_a_name(visit):
    page = visit("/models/red-blue")
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("svg, input, textarea, [role=group], pre, section")]
            .filter((one) => !one.getAttribute("aria-label") && !one.getAttribute("aria-labelledby")
                && !(one.labels && one.labels.length) && !one.classList.contains("hero"))
            .map((one) => one.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    assert page.locator("h1").count() == 1
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => +one.tagName[1])")
    assert all(after - before <= 1 for before, after in pairwise(levels))
