"""People and their accounts, at a real hub: sign-up, approval, passwords, the first administrator."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.hub.conftest import ADMIN_PASSWORD, PUBLIC_URL

PASSWORD = "correct horse battery"


def approve(admin, username: str, action: str = "approve") -> httpx.Response:
    return admin.submit("/hub/authorize", f"/hub/authorize/{username}", action=action)


def test_who_signs_up_waits_until_an_administrator_approves(browser, admin):
    assert "waits for an administrator" in browser.sign_up("alice", PASSWORD).text
    early = browser.log_in("alice", PASSWORD)
    assert early.status_code == 403
    assert "waiting for an administrator" in early.text

    assert "1 waiting" in admin.get("/hub/home").text
    assert approve(admin, "alice").url.path == "/hub/authorize"

    assert browser.log_in("alice", PASSWORD).url.path == "/hub/home"


def test_approval_by_a_link_changes_nothing(browser, admin):
    browser.sign_up("linked", PASSWORD)
    assert admin.get("/hub/authorize/linked").status_code == 405
    assert browser.log_in("linked", PASSWORD).status_code == 403


def test_approval_without_the_forms_token_is_refused(browser, admin):
    browser.sign_up("forged", PASSWORD)
    refused = admin.post(
        "/hub/authorize/forged", data={"action": "approve"}, headers={"Origin": "http://evil.test"}
    )
    assert refused.status_code == 403
    assert browser.log_in("forged", PASSWORD).status_code == 403


def test_only_an_administrator_sees_the_accounts(person):
    assert person.get("/hub/authorize").status_code in {403, 404}
    assert "Accounts" not in person.get("/hub/home").text


@pytest.mark.parametrize(
    ("username", "password", "again", "says"),
    [
        ("bob", "short", None, "at least 10"),
        ("bob", "1234567890", None, "most common"),
        ("bob", PASSWORD, "something else", "differ"),
        ("bob", "é" * 257, None, "at most 256"),
        ("bob smith", PASSWORD, None, "A user name"),
        ("admin", PASSWORD, None, "taken"),
    ],
)
def test_a_sign_up_that_cannot_be_says_why(browser, username, password, again, says):
    answer = browser.sign_up(username, password, again)
    assert answer.status_code == 400
    assert says in answer.text


def test_a_discarded_sign_up_is_gone(browser, admin):
    browser.sign_up("unwanted", PASSWORD)
    assert "is gone" in approve(admin, "unwanted", "remove").text
    assert "unwanted" not in admin.get("/hub/authorize").text


def test_a_suspended_person_is_out_at_once(person, admin):
    token = person.get("/mlflow/")
    assert token.json()["x-remote-user"] == person.name
    approve(admin, person.name, "suspend")
    assert person.get("/hub/home").url.path == "/hub/login"
    assert person.get("/auth/whoami").status_code == 401
    assert person.log_in(person.name, person.password).status_code == 403

    assert "suspended" in admin.get("/hub/authorize").text
    approve(admin, person.name)
    assert person.log_in(person.name, person.password).url.path == "/hub/home"


@pytest.mark.parametrize("action", ["suspend", "withdraw", "remove", "reset"])
def test_administrators_do_nothing_to_themselves(admin, action):
    refused = approve(admin, "admin", action)
    assert refused.status_code == 400
    assert "Another administrator can" in refused.text
    assert admin.get("/hub/authorize").status_code == 200


def test_a_changed_password_ends_the_other_browsers(platform, person):
    with platform.browser() as other:
        other.log_in(person.name, person.password)
        answer = person.submit(
            "/hub/change-password",
            old_password=person.password,
            new_password=PASSWORD,
            new_password_confirmation=PASSWORD,
        )
        assert "is changed" in answer.text
        assert person.get("/hub/home").url.path == "/hub/home"
        assert other.get("/hub/home").url.path == "/hub/login"
        assert other.log_in(person.name, person.password).status_code == 403
        assert other.log_in(person.name, PASSWORD).url.path == "/hub/home"


def test_the_present_password_is_needed_for_a_new_one(person):
    answer = person.submit(
        "/hub/change-password",
        old_password="not this one",
        new_password=PASSWORD,
        new_password_confirmation=PASSWORD,
    )
    assert answer.status_code == 400
    assert "present password is wrong" in answer.text


def test_a_wrong_present_password_is_counted_as_any_other(person):
    for _ in range(11):
        answer = person.submit(
            "/hub/change-password",
            old_password="a guess",
            new_password=PASSWORD,
            new_password_confirmation=PASSWORD,
        )
    assert answer.status_code == 429
    assert "Too many wrong passwords" in answer.text


def test_the_one_time_password_shows_until_it_is_changed(platform, admin):
    """Last in this file: it changes the administrator's password."""
    shown = platform.run("slipway_hub.admin_password")
    assert (shown.returncode, shown.stdout) == (0, f"admin {ADMIN_PASSWORD}\n")

    with platform.browser() as fresh:
        landed = fresh.submit("/hub/login", username="admin", password=ADMIN_PASSWORD)
        assert landed.url == f"{PUBLIC_URL}/hub/change-password"
        assert "one-time password of the installation" in landed.text

    changed = admin.submit(
        "/hub/change-password",
        old_password=ADMIN_PASSWORD,
        new_password=PASSWORD,
        new_password_confirmation=PASSWORD,
    )
    assert "is changed" in changed.text
    assert "one-time password of the installation" not in changed.text
    told = platform.run("slipway_hub.admin_password")
    assert (told.returncode, told.stdout) == (3, "")
    assert "has been changed" in told.stderr
    with platform.browser() as fresh:
        assert fresh.log_in("admin", ADMIN_PASSWORD).status_code == 403
        assert fresh.log_in("admin", PASSWORD).url.path == "/hub/home"
