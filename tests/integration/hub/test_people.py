"""Invitations, resets, administrators and removal, at a real hub: from the page Accounts and by the
operator's command, which come to the same."""

from __future__ import annotations

import html
import json
import re
import secrets
import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.integration.hub.conftest import PUBLIC_URL
from tests.integration.hub.test_door import make_token

PASSWORD = "correct horse battery"


@pytest.fixture
def name() -> str:
    return f"guest-{secrets.token_hex(3)}"


@pytest.fixture
def users(platform):
    """Runs the operator's command; gives what it prints, as JSON."""

    def run(*arguments: str) -> dict | list:
        done = platform.run("slipway_hub.users", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def refused(platform):
    """Runs the operator's command and gives what it says against it."""

    def run(*arguments: str) -> str:
        done = platform.run("slipway_hub.users", *arguments)
        assert (done.returncode, done.stdout) == (1, "")
        return done.stderr

    return run


def link_on(page: httpx.Response) -> str:
    return html.unescape(re.search(r'id="link_output".*?value="([^"]+)"', page.text, re.DOTALL)[1])


def choose(browser, link: str, password: str = PASSWORD, again: str | None = None) -> httpx.Response:
    """Opens the link and fills in its form."""
    url = urlsplit(link)
    return browser.submit(
        f"{url.path}?{url.query}",
        url.path,
        token=parse_qs(url.query)["token"][0],
        new_password=password,
        new_password_confirmation=password if again is None else again,
    )


def do(admin, name: str, action: str) -> httpx.Response:
    return admin.submit("/hub/authorize", f"/hub/authorize/{name}", action=action)


def of(users, name: str) -> dict | None:
    return next((one for one in users("list") if one["name"] == name), None)


def test_who_is_invited_chooses_a_password_and_is_in(browser, admin, users, name):
    page = admin.submit("/hub/authorize", username=name)
    link = link_on(page)
    assert link.startswith(f"{PUBLIC_URL}/hub/choose-password?token=")
    assert page.headers["cache-control"] == "no-store"
    assert of(users, name)["state"] == "invited"

    assert choose(browser, link).url.path == "/"
    assert browser.get("/mlflow/").json()["x-remote-user"] == name
    assert of(users, name) | {"last_activity": ""} == {
        "name": name, "state": "approved", "admin": False, "groups": [], "last_activity": "",
    }  # fmt: skip
    browser.get("/hub/logout")
    assert browser.log_in(name, PASSWORD).url.path == "/hub/home"


def test_looking_at_the_link_uses_nothing_up_and_choosing_does(platform, browser, users, name):
    link = users("invite", name)["link"]
    for _ in range(3):
        looked = browser.get(link)
        assert name in looked.text
    assert looked.headers["cache-control"] == "no-store"
    assert looked.headers["referrer-policy"] == "no-referrer"
    assert choose(browser, link).url.path == "/"
    with platform.browser() as other:
        again = other.get(link)
        assert again.status_code == 403
        assert "has been used" in again.text


def test_a_bad_password_leaves_the_link_good(browser, users, name):
    link = users("invite", name)["link"]
    bad = choose(browser, link, "short")
    assert bad.status_code == 400
    assert "at least 10" in bad.text
    assert choose(browser, link, PASSWORD, "another").status_code == 400
    assert choose(browser, link).url.path == "/"


def test_a_form_of_another_site_chooses_nothing(browser, users, name):
    link = users("invite", name)["link"]
    token = parse_qs(urlsplit(link).query)["token"][0]
    fields = {"token": token, "new_password": PASSWORD, "new_password_confirmation": PASSWORD}
    assert browser.post("/hub/choose-password", data=fields).status_code == 403
    assert browser.log_in(name, PASSWORD).status_code == 403
    assert choose(browser, link).url.path == "/"


@pytest.mark.parametrize("token", ["", "short", "x" * 43, "../" + "x" * 40])
def test_what_is_no_link_says_how_to_get_one(browser, token):
    answer = browser.get("/hub/choose-password", params={"token": token})
    assert answer.status_code == 403
    assert "users reset" in answer.text


@pytest.mark.parametrize("typed", ["", "a guess", "a password that nobody has"])
def test_who_has_not_chosen_yet_has_no_password(browser, users, name, typed):
    users("invite", name)
    assert browser.log_in(name, typed).status_code == 403


def test_no_token_is_in_the_log_or_in_the_database(platform, browser, users, name):
    link = users("invite", name)["link"]
    browser.get(link)
    token = parse_qs(urlsplit(link).query)["token"][0]
    assert token not in (platform.folder / "hub.log").read_text()
    assert token.encode() not in (platform.folder / "hub.sqlite").read_bytes()


def test_a_reset_ends_password_sessions_and_tokens_but_not_the_name(platform, person, users):
    token = make_token(person)
    link = users("reset", person.name)["link"]
    assert person.get("/hub/home").url.path == "/hub/login"
    assert person.log_in(person.name, person.password).status_code == 403
    with platform.browser() as program:
        program.headers["Authorization"] = f"Bearer {token}"
        assert program.get("/hub/api/user").status_code == 403
    assert choose(person, link).url.path == "/"
    assert person.get("/hub/home").url.path == "/hub/home"


def test_only_the_newest_link_works(browser, users, name):
    first, second = users("invite", name)["link"], users("reset", name)["link"]
    assert browser.get(first).status_code == 403
    assert browser.get(second).status_code == 200


def test_a_suspended_person_has_no_link_either(browser, users, refused, name):
    link = users("invite", name)["link"]
    users("suspend", name)
    assert browser.get(link).status_code == 403
    assert of(users, name)["state"] == "suspended"
    assert "approve it" in refused("reset", name)
    assert "approve it again" in refused("invite", name)
    users("approve", name)
    assert choose(browser, users("reset", name)["link"]).url.path == "/"


def test_an_administrator_is_made_and_is_one_at_once_and_no_longer(person, admin, users):
    assert person.get("/hub/authorize").status_code in {403, 404}
    do(admin, person.name, "administrator")
    assert person.get("/hub/authorize").status_code == 200
    assert of(users, person.name)["admin"] is True
    users("admin", person.name, "--remove")
    assert person.get("/hub/authorize").status_code in {403, 404}


def test_an_invited_administrator_is_one(browser, users, name):
    choose(browser, users("invite", name, "--admin")["link"])
    assert browser.get("/hub/authorize").status_code == 200
    users("remove", name)


def test_nobody_takes_the_last_administrator_away(refused, admin, person, users):
    assert "last administrator" in refused("suspend", "admin")
    for asked in (("remove", "admin"), ("admin", "admin", "--remove")):
        assert "ADMIN_USER" in refused(*asked)
    # Nor does one who never chose a password count as another.
    users("invite", "not-yet", "--admin")
    assert "last administrator" in refused("suspend", "admin")
    users("remove", "not-yet")
    assert admin.get("/hub/authorize").status_code == 200


def test_who_is_removed_is_gone_and_their_files_are_not(platform, person, admin, users):
    person.get("/hub/spawn")
    removed = do(admin, person.name, "remove")
    if removed.status_code == 409:
        assert "starting or stopping" in removed.text
        removed = once_it_is_not_refused(lambda: do(admin, person.name, "remove"))
    assert "is gone" in removed.text
    assert str(platform.folder / person.name) in removed.text
    assert of(users, person.name) is None
    assert person.get("/hub/home").url.path == "/hub/login"
    assert person.get("/auth/whoami").status_code == 401
    assert person.log_in(person.name, person.password).status_code == 403


def once_it_is_not_refused(ask) -> httpx.Response:
    for _ in range(40):
        time.sleep(0.5)
        if (answer := ask()).status_code != 409:
            return answer
    raise AssertionError(answer.text)


def test_who_waits_is_approved_or_removed_by_the_operator_too(browser, users, refused, name):
    browser.sign_up(name, PASSWORD)
    assert of(users, name)["state"] == "waits"
    assert "remove it instead" in refused("suspend", name)
    assert "approve it" in refused("invite", name)
    users("approve", name)
    assert browser.log_in(name, PASSWORD).url.path == "/hub/home"


@pytest.mark.parametrize("bad", ["Ann Smith", "../x", "-x", "a" * 65, "ann%20b"])
def test_a_name_that_cannot_be_says_which_can(platform, refused, bad):
    done = platform.run("slipway_hub.users", "invite", "--", bad)
    assert done.returncode == 1
    assert "A user name starts with" in done.stderr


def test_a_name_that_is_not_there_is_named(refused):
    for action in ("reset", "approve", "suspend", "admin", "remove"):
        assert refused(action, "nobody-at-all") == "There is no account nobody-at-all.\n"


def test_the_operator_reads_a_table(platform):
    shown = platform.run("slipway_hub.users", "list")
    assert shown.returncode == 0
    assert re.search(r"^name +state +administrator +groups +last seen$", shown.stdout, re.MULTILINE)
    assert re.search(r"^admin +approved +yes ", shown.stdout, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["invite"], ["list", "ann"], ["sing"]])
def test_wrong_usage_is_status_2(platform, arguments):
    assert platform.run("slipway_hub.users", *arguments).returncode == 2


def test_a_hub_that_does_not_answer_is_told(platform):
    done = platform.run("slipway_hub.users", "list", HUB_BIND_URL="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "does not answer" in done.stderr and "./slipway up" in done.stderr


def test_nobody_but_the_operator_may_ask_so(platform, admin, browser):
    people = "/hub/api/slipway/people"
    with platform.browser() as program:
        program.headers["Authorization"] = f"Bearer {make_token(admin)}"
        assert program.get(people).status_code == 403
        assert program.post(f"{people}/admin/suspend").status_code == 403
    assert browser.get(people).status_code == 403


def test_the_operators_token_can_do_nothing_else(platform, browser):
    browser.headers["Authorization"] = (
        f"Bearer {(platform.secrets_dir / 'hub_operator_token').read_text().strip()}"
    )
    assert browser.get("/hub/api/slipway/people").status_code == 200
    for path in ("users", "users/admin", "proxy", "services", "groups", "info"):
        assert browser.get(f"/hub/api/{path}").status_code in {403, 404}, path
    assert browser.post("/hub/api/users/admin/tokens").status_code in {403, 404}
    assert browser.post("/hub/api/shutdown").status_code == 403


@pytest.mark.parametrize("action", ["approve", "suspend", "administrator", "withdraw", "reset", "remove"])
def test_no_button_is_pressed_by_a_link_or_by_another_site(person, admin, users, action):
    before = of(users, person.name)
    path = f"/hub/authorize/{person.name}"
    assert admin.get(path, params={"action": action}).status_code == 405
    assert (
        admin.post(path, data={"action": action}, headers={"Origin": "http://evil.test"}).status_code == 403
    )
    assert of(users, person.name)["state"] == before["state"]
    assert person.get("/hub/home").url.path == "/hub/home"
    assert person.post(path, data={"action": action}).status_code == 403


def test_an_invitation_is_not_made_by_another_site(admin, users, name):
    assert admin.post("/hub/authorize", data={"username": name}).status_code == 403
    assert of(users, name) is None


def test_a_cookie_that_was_copied_ends_with_the_logout(person):
    copied = httpx.Cookies(person.cookies)
    person.get("/hub/logout")
    person.cookies = copied
    assert person.get("/hub/home").url.path == "/hub/login"


def test_cookies_are_kept_from_scripts_and_other_sites_and_pages_from_frames(platform, person):
    with platform.browser() as browser:
        login = browser.get("/hub/login")
        assert "frame-ancestors 'none'" in login.headers["content-security-policy"]
        found = re.search(r'name="_xsrf" value="([^"]+)"', login.text)[1]
        fields = {"_xsrf": found, "username": person.name, "password": person.password}
        answer = browser.post("/hub/login", data=fields, follow_redirects=False)
        cookies = [*login.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert {one.partition("=")[0] for one in cookies} >= {
        "_xsrf",
        "jupyterhub-hub-login",
        "slipway-known-browser",
    }
    for cookie in cookies:
        assert "HttpOnly" in cookie and "SameSite=Lax" in cookie, cookie
