"""One-time login links, with a real hub and door-keeper: who follows one is logged in, once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.embedded import login_link
from tests.integration.hub.conftest import ADMIN_PASSWORD, PUBLIC_URL, Browser, Platform

UNKNOWN = f"{PUBLIC_URL}/hub/one-time-login?token={'x' * 43}"


@pytest.fixture(scope="module")
def links(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("login links ä")


@pytest.fixture(scope="module")
def platform(proxy_packages, links, tmp_path_factory) -> Iterator[Platform]:
    """One that is told where links are; nobody has logged in at it before."""
    platform = Platform(tmp_path_factory.mktemp("hub-with-links"), LOGIN_LINKS_DIR=str(links))
    try:
        platform.start(proxy_packages)
        yield platform
    finally:
        platform.stop()


@pytest.fixture
def a_link(links) -> Callable[..., str]:
    def make(user: str = "admin", seconds: int = 900) -> str:
        return login_link.make(links, user, PUBLIC_URL, time.time(), seconds)

    return make


def who(browser: Browser) -> str | None:
    """As whom the door-keeper lets the browser through to MLflow, if it does."""
    answer = browser.get("/mlflow/")
    return answer.json().get("x-remote-user") if "json" in answer.headers["content-type"] else None


def test_a_link_logs_the_administrator_in_who_never_was_here(browser, a_link):
    answer = browser.get(a_link())
    assert (answer.status_code, answer.url.path) == (200, "/")
    assert browser.get("/hub/home").url.path == "/hub/home"
    assert who(browser) == "admin"
    assert browser.get("/hub/authorize").status_code == 200, "the accounts are the administrator's"


def test_nobody_who_came_by_link_is_sent_to_change_a_password_they_never_saw(browser, a_link):
    browser.get(a_link())
    answer = browser.get("/hub/", follow_redirects=False)
    assert "change-password" not in answer.headers["location"]
    assert "one-time password of the installation" not in browser.get("/hub/home").text


def test_the_password_opens_the_same_account(browser):
    assert browser.log_in("admin", ADMIN_PASSWORD).url.path == "/hub/home"


def test_a_second_use_is_refused_with_a_page_that_names_the_remedy(platform, browser, a_link):
    link = a_link()
    browser.get(link)
    with platform.browser() as other:
        answer = other.get(link)
        assert answer.status_code == 403
        assert "This link has been used" in answer.text
        assert "./slipway up" in answer.text
        assert other.get("/hub/home").url.path == "/hub/login"


def test_an_expired_link_is_refused(browser, a_link):
    answer = browser.get(a_link(seconds=0))
    assert answer.status_code == 403
    assert "too old" in answer.text
    assert browser.get("/hub/home").url.path == "/hub/login"


@pytest.mark.parametrize(
    "query", ["?token=" + "x" * 43, "?token=../../hub.sqlite", "?token=", "", "?token=%00"]
)
def test_what_is_no_link_is_refused(browser, query):
    answer = browser.get(f"/hub/one-time-login{query}")
    assert answer.status_code == 403
    assert "./slipway up" in answer.text


def test_a_link_for_nobodys_account_is_refused(browser, a_link):
    answer = browser.get(a_link("nobody"))
    assert answer.status_code == 403
    assert "may not log in" in answer.text


def test_somebody_who_waits_for_approval_is_not_let_in_by_a_link(browser, a_link):
    browser.sign_up("waiting", "a password of their own")
    assert browser.get(a_link("waiting")).status_code == 403


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Sec-Fetch-Mode": "no-cors"}])
def test_a_fetch_in_advance_is_refused_and_uses_nothing_up(browser, a_link, headers):
    link = a_link()
    assert browser.get(link, headers=headers).status_code == 403
    assert browser.get(link).url.path == "/"


def test_a_head_request_uses_nothing_up(browser, a_link):
    link = a_link()
    assert browser.head(link).status_code == 405
    assert browser.get(link).url.path == "/"


def test_of_two_browsers_at_once_exactly_one_is_logged_in(platform, a_link):
    link = a_link()

    def follow(_: int) -> int:
        with platform.browser() as browser:
            return browser.get(link).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(follow, range(8))) == [200, *[403] * 7]


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/hub/home", "/hub/home"),
        ("//evil.example/", "/"),
        ("https://evil.example/", "/"),
        ("/\\evil.example", "/"),
    ],
)
def test_next_leads_to_this_site_alone(browser, a_link, wanted, leads_to):
    answer = browser.get(a_link(), follow_redirects=False)
    assert answer.headers["location"] == "/auth/login"
    url = browser.build_request("GET", a_link()).url.copy_merge_params({"next": wanted})
    assert browser.get(url, follow_redirects=False).headers["location"] == leads_to


def test_a_browser_of_somebody_else_becomes_the_links_user_everywhere(platform, browser, a_link):
    with platform.browser() as admin:
        admin.get(a_link())
        browser.sign_up("ben", "a password of their own")
        admin.submit("/hub/authorize", "/hub/authorize/ben", action="approve")
    browser.log_in("ben", "a password of their own")
    assert who(browser) == "ben"
    browser.get(a_link())
    assert who(browser) == "admin"
    assert "admin" in browser.get("/hub/home").text
    assert browser.get("/hub/authorize").status_code == 200


def test_a_link_leaves_the_session_of_the_same_person_as_it_is(browser, a_link):
    browser.get(a_link())
    assert who(browser) == "admin"
    session = browser.cookies["jupyterhub-session-id"]
    browser.get(a_link())
    assert browser.cookies["jupyterhub-session-id"] == session
    assert who(browser) == "admin"


@pytest.mark.parametrize("link", ["good", "bad"])
def test_the_token_does_not_leave_by_caches_or_referrers(browser, a_link, link):
    answer = browser.get(a_link() if link == "good" else UNKNOWN, follow_redirects=False)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_hubs_log_has_no_token(platform, browser, a_link):
    link = a_link()
    browser.get(link)
    assert link.partition("token=")[2] not in (platform.folder / "hub.log").read_text()


def test_without_a_folder_there_is_no_such_page(proxy_packages, tmp_path):
    platform = Platform(tmp_path)
    try:
        platform.start(proxy_packages)
        with platform.browser() as browser:
            assert browser.get("/hub/one-time-login?token=x").status_code == 404
    finally:
        platform.stop()
