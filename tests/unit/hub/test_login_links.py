"""One-time login links, without the hub: using one up, who counts as a person, and where it leads."""

from __future__ import annotations

import hashlib
import json

import pytest
from slipway_hub.login_links import NotUsable, is_a_visit, local_path, use

TOKEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ_-12345"
NOW = 1_800_000_000


def link(folder, content, token: str = TOKEN):
    path = folder / f"{hashlib.sha256(token.encode()).hexdigest()}.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_link_tells_its_user_once(tmp_path):
    path = link(tmp_path, {"user": "ann", "expires": NOW + 1})
    assert use(tmp_path, TOKEN, NOW) == "ann"
    assert not path.exists()
    with pytest.raises(NotUsable, match="has been used"):
        use(tmp_path, TOKEN, NOW)


def test_an_expired_link_is_refused_and_gone(tmp_path):
    path = link(tmp_path, {"user": "ann", "expires": NOW})
    with pytest.raises(NotUsable, match="too old"):
        use(tmp_path, TOKEN, NOW)
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"user": "ann"}', '{"user": "ann", "expires": "soon"}'])
def test_a_file_that_is_no_link_logs_nobody_in(tmp_path, content):
    link(tmp_path, content)
    with pytest.raises(NotUsable, match="cannot be read"):
        use(tmp_path, TOKEN, NOW)


@pytest.mark.parametrize(
    "token", ["", "short", TOKEN + "x", "../" + TOKEN[3:], TOKEN[:-1] + "\n", TOKEN[:-1] + "ä", "." * 43]
)
def test_a_token_of_another_form_is_never_looked_up(tmp_path, token):
    link(tmp_path, {"user": "ann", "expires": NOW + 1}, token)
    with pytest.raises(NotUsable, match="not whole"):
        use(tmp_path, token, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ],
)
def test_what_no_person_has_opened_is_no_visit(headers):
    assert not is_a_visit(headers)


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}])
def test_a_page_that_is_opened_is_a_visit(headers):
    assert is_a_visit(headers)


@pytest.mark.parametrize("path", ["/", "/hub/home", "/mlflow/#/experiments/1?x=//y"])
def test_a_path_of_this_site_is_followed(path):
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "hub",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a b",
        "/\r\nSet-Cookie: x=y",
    ],
)
def test_anything_else_leads_to_the_front_page(path):
    assert local_path(path) == "/"
