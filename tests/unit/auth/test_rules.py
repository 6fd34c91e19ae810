"""The rules of the door that need no hub."""

import pytest
from doorkeeper.rules import (
    bearer_token,
    groups_header,
    local_path,
    may_change_state_by_cookie,
    wants_a_page,
)

HERE = "https://slipway.example.org"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/mlflow/"},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/serving/docs"},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/"},
        # Reached by another name of the same machine: the browser has compared the origins itself.
        {"sec-fetch-site": "same-origin", "referer": "http://127.0.0.1:8080/mlflow/"},
        {"origin": HERE, "referer": f"{HERE}/pipelines/flows"},
        {"referer": f"{HERE}/mlflow/"},
        {"referer": f"{HERE}/auth/keys"},
    ],
)
def test_our_own_page_may_change_state(headers):
    assert may_change_state_by_cookie(headers, HERE)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "null"},
        {"origin": "null", "referer": f"{HERE}/mlflow/"},
        {"origin": "http://slipway.example.org", "referer": "http://slipway.example.org/mlflow/"},
        {"origin": f"{HERE}:8443", "referer": f"{HERE}:8443/mlflow/"},
        {"origin": f"{HERE}.evil.test", "referer": f"{HERE}.evil.test/mlflow/"},
        # A page that hides where it is may be a notebook's.
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none", "referer": f"{HERE}/mlflow/"},
        {"origin": HERE},
        {"referer": HERE},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/hub/home"},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/services/x/"},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/mlflowers/"},
        {"referer": f"{HERE}.evil.test/mlflow/"},
        {"sec-fetch-site": "cross-site", "origin": HERE, "referer": f"{HERE}/mlflow/"},
        {"sec-fetch-site": "same-site", "origin": HERE, "referer": f"{HERE}/mlflow/"},
        {"sec-fetch-site": "same-origin", "referer": f"{HERE}/user/mallory/lab"},
        {"origin": HERE, "referer": f"{HERE}/user/mallory/lab"},
    ],
)
def test_any_other_page_may_not(headers):
    assert not may_change_state_by_cookie(headers, HERE)


@pytest.mark.parametrize("path", ["/", "/mlflow/", "/mlflow/#/experiments/1?o=a%20b", "/x?next=//evil.test"])
def test_a_path_of_this_site_is_where_a_login_ends(path):
    assert local_path(path) == path


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mlflow",
        "//evil.test",
        "///evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test/",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/\n/evil.test",
        " //evil.test",
        "/a\r\nSet-Cookie: x=1",
    ],
)
def test_anything_else_leads_to_the_front_page(url):
    assert local_path(url) == "/"


def test_a_person_gets_a_page_and_a_program_gets_data():
    assert wants_a_page("GET", {"accept": "text/html,*/*"})
    assert wants_a_page("GET", {"sec-fetch-mode": "navigate"})
    assert not wants_a_page("GET", {"accept": "*/*"})
    assert not wants_a_page("GET", {"sec-fetch-mode": "cors", "accept": "text/html"})
    assert not wants_a_page("POST", {"accept": "text/html"})


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("token abc", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
    ],
)
def test_tokens_are_read_from_the_header(header, token):
    assert bearer_token(header) == token


def test_a_group_that_a_header_cannot_carry_is_left_out():
    assert groups_header(["ds", "a,admin", "größe", "x\r\nX-Remote-Admin: 1", "two words"]) == "ds,two words"
