"""One login for everything: the browser's round trip through the hub, tokens, and what is refused."""

from __future__ import annotations

import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.hub.conftest import PUBLIC_URL
from tests.support.processes import eventually, free_port

SAME_PAGE = {"Origin": PUBLIC_URL, "Referer": f"{PUBLIC_URL}/mlflow/"}


def test_a_stranger_with_a_browser_is_sent_to_log_in_and_comes_back(browser, admin):
    browser.sign_up("carol", "a long password")
    admin.submit("/hub/authorize", "/hub/authorize/carol", action="approve")

    login = browser.get("/mlflow/experiments?page=2")
    assert login.url.path == "/hub/login"
    back = browser.submit(str(login.url), username="carol", password="a long password")

    assert back.url == f"{PUBLIC_URL}/mlflow/experiments?page=2"
    assert back.json() == {"x-remote-user": "carol", "x-remote-groups": "", "x-remote-admin": "0"}


def test_who_is_logged_in_at_the_hub_passes_without_being_asked(person):
    answer = person.get("/mlflow/")
    assert answer.history[0].url.path == "/mlflow/"
    assert answer.json()["x-remote-user"] == person.name


def test_an_administrator_is_told_apart(admin):
    assert admin.get("/mlflow/").json()["x-remote-admin"] == "1"
    assert admin.get("/auth/whoami").json() == {"user": "admin", "admin": True, "groups": []}


def test_a_program_without_a_login_gets_json(browser):
    answer = browser.get("/mlflow/api/2.0/mlflow/experiments/search", headers={"Accept": "*/*"})
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert browser.get("/auth/whoami").status_code == 401


def test_a_token_speaks_for_its_owner(platform, person):
    token = make_token(person)
    with platform.browser() as program:
        answer = program.post("/mlflow/api", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["x-remote-user"] == person.name


def test_a_wrong_token_is_not_rescued_by_a_cookie(person):
    person.get("/mlflow/")
    answer = person.get("/mlflow/", headers={"Authorization": "Bearer not-a-token"})
    assert answer.status_code == 401


def test_a_token_without_the_doors_scope_is_refused(person):
    token = make_token(person, scopes=["read:users!user"])
    answer = person.get("/mlflow/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    assert "access:services!service=auth" in answer.json()["message"]


def test_a_services_token_is_nobodys(platform, browser):
    token = (platform.secrets_dir / "auth_service_token").read_text().strip()
    answer = browser.get("/mlflow/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 403


def test_headers_that_name_a_user_are_not_believed(browser):
    spoofed = {"X-Remote-User": "admin", "X-Remote-Admin": "1", "Accept": "*/*"}
    assert browser.get("/mlflow/", headers=spoofed).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {},
        {"Sec-Fetch-Site": "cross-site", **SAME_PAGE},
        {"Origin": PUBLIC_URL, "Referer": f"{PUBLIC_URL}/user/mallory/lab"},
        {"Origin": PUBLIC_URL, "Referer": f"{PUBLIC_URL}/hub/home"},
        # What a notebook's page sends when it hides where it is.
        {"Origin": PUBLIC_URL},
        {"Sec-Fetch-Site": "same-origin", "Origin": PUBLIC_URL},
    ],
)
def test_another_page_cannot_change_anything_with_the_visitors_cookie(person, headers):
    person.get("/mlflow/")
    assert person.post("/mlflow/api", headers=headers).status_code == 403


def test_the_platforms_own_page_can(person):
    person.get("/mlflow/")
    assert person.post("/mlflow/api", headers=SAME_PAGE).json()["x-remote-user"] == person.name


@pytest.mark.parametrize("elsewhere", ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:1"])
def test_a_login_never_ends_on_another_site(person, elsewhere):
    answer = person.get("/auth/login", params={"next": elsewhere})
    assert (answer.url.host, answer.url.path) == ("slipway.test", "/")


def test_logging_out_ends_every_door(person):
    assert person.get("/mlflow/").json()["x-remote-user"] == person.name
    kept = httpx.Cookies(person.cookies)

    assert person.get("/auth/logout").url.path == "/hub/login"

    assert person.get("/auth/whoami").status_code == 401
    person.cookies = kept
    assert person.get("/auth/whoami").status_code == 401, "the old cookies still open the door"


@pytest.mark.parametrize("way_out", ["/auth/logout", "/hub/logout"])
def test_who_stole_the_cookies_is_out_when_their_owner_logs_out(platform, person, way_out):
    person.get("/mlflow/")
    with platform.browser() as thief:
        thief.cookies = httpx.Cookies(person.cookies)
        assert thief.get("/auth/whoami").json()["user"] == person.name

        person.get(way_out)

        assert thief.get("/auth/whoami").status_code == 401
        assert thief.post("/mlflow/api", headers=SAME_PAGE).status_code == 401
        assert thief.get("/mlflow/").url.path == "/hub/login", "the hub's own cookie let them in again"
        assert thief.get("/hub/home").url.path == "/hub/login"


def test_a_door_keeper_that_remembers_answers_forgets_an_ended_session_in_time(platform, person):
    """The platform's own remembers for 60 s (AUTH_CACHE_SECONDS); this one for 3."""
    port, seconds = free_port(), 3
    remembering = {**platform.environment, "AUTH_PORT": str(port), "AUTH_CACHE_SECONDS": str(seconds)}
    process = platform.processes.start(
        "auth-remembering", [sys.executable, "-m", "doorkeeper"], environment=remembering
    )
    url = f"http://127.0.0.1:{port}/auth"
    platform.processes.wait_for("auth-remembering", process, f"{url}/health", below=400)
    person.get("/mlflow/")
    stolen = {cookie.name: cookie.value for cookie in person.cookies.jar if cookie.path == "/"}

    def opens() -> bool:
        return httpx.get(f"{url}/whoami", cookies=stolen).status_code == 200

    try:
        assert opens()
        person.get("/hub/logout")
        began = time.monotonic()
        # Used all the time, which must not make it last.
        assert eventually(lambda: not opens(), seconds + 2, 0.1)
        assert time.monotonic() - began <= seconds + 1
    finally:
        platform.processes.stop(process)


def test_logging_out_at_the_hub_ends_it_too(person):
    person.get("/mlflow/")
    person.get("/hub/logout")
    assert person.get("/auth/whoami").status_code == 401


def test_a_login_cannot_be_finished_by_another_browser(platform, person):
    begun = person.get("/auth/login", follow_redirects=False)
    authorize = person.get(begun.headers["location"], follow_redirects=False)
    callback = authorize.headers["location"]
    assert {"code", "state"} <= parse_qs(urlsplit(callback).query).keys()

    with platform.browser() as victim:
        refused = victim.get(callback)
        assert refused.status_code == 403
        assert victim.get("/auth/whoami").status_code == 401
    assert person.get(callback).url.path == "/"
    assert person.get(callback).status_code == 403, "the same login worked twice"


def test_cookies_are_kept_from_scripts_and_from_other_sites(person):
    begun = person.get("/auth/login", follow_redirects=False)
    finished = person.get(
        person.get(begun.headers["location"], follow_redirects=False).headers["location"],
        follow_redirects=False,
    )
    [session] = [c for c in finished.headers.get_list("set-cookie") if c.startswith("slipway-session=")]
    assert "HttpOnly" in session
    assert "samesite=lax" in session.lower()


def test_a_notebook_has_a_token_that_opens_the_door_as_its_owner(platform, person):
    """The server of this test shows its environment; in the image it is JupyterLab."""
    person.get("/hub/spawn")
    environment: dict[str, str] = {}

    def started() -> bool:
        answer = person.get(f"/user/{person.name}/")
        if answer.status_code != 200 or "/hub/" in answer.url.path:
            return False
        environment.update(json.loads(answer.text))
        return True

    assert eventually(started, 30, 0.5)
    assert environment["MLFLOW_TRACKING_URI"] == "http://gateway:8081/mlflow"
    assert environment["USER"] == environment["LOGNAME"] == person.name
    token = environment["MLFLOW_TRACKING_TOKEN"]
    with platform.browser() as kernel:
        answer = kernel.post("/mlflow/api", headers={"Authorization": f"Bearer {token}"})
        assert answer.json()["x-remote-user"] == person.name
        assert answer.json()["x-remote-admin"] == "0"


def test_a_hub_that_restarts_keeps_sessions_and_notebooks(platform, person):
    person.get("/hub/spawn")
    url = f"/user/{person.name}/"
    assert eventually(lambda: person.get(url).url.path == url, 30, 0.5)
    person.get("/mlflow/")

    platform.processes.stop(platform.hub)
    assert person.get(url).url.path == url, "the notebook went away with the hub"
    down = person.get("/mlflow/")
    assert down.status_code == 503
    assert down.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
    platform.start_hub()

    assert person.get(url).url.path == url
    assert eventually(lambda: person.get("/auth/whoami").status_code == 200, 20)


def make_token(person, **request) -> str:
    """As the page /hub/token does, by the hub's API and the person's own session."""
    page = person.get("/hub/token")
    xsrf = page.text.split('xsrf_token: "')[1].split('"')[0]
    answer = person.post(
        f"/hub/api/users/{person.name}/tokens",
        json={"note": f"test {time.time()}", **request},
        headers={"X-XSRFToken": xsrf, "Referer": f"{PUBLIC_URL}/hub/token", "Accept": "*/*"},
    )
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]
