"""What is tried too often, at a real hub: from where it comes counts, nobody is locked out, and the page says
when to come back."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

import bcrypt
import pytest
from sqlalchemy import create_engine, text

from tests.integration.hub.conftest import ADMIN_PASSWORD, Platform

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def platform(proxy_packages, tmp_path_factory) -> Iterator[Platform]:
    platform = Platform(tmp_path_factory.mktemp("hub-with-limits"), SIGNUPS_PER_HOUR="3")
    try:
        platform.start(proxy_packages)
        yield platform
    finally:
        platform.stop()


def wait_is_told(answer) -> bool:
    return answer.status_code == 429 and 0 < int(answer.headers["Retry-After"]) <= 3600


def test_sign_ups_of_one_address_end_and_of_another_go_on(platform):
    with platform.browser("192.0.2.10") as one, platform.browser("192.0.2.11") as other:
        for number in range(3):
            assert one.sign_up(f"one-{number}", PASSWORD).status_code == 200
        refused = one.sign_up("one-more", PASSWORD)
        assert wait_is_told(refused)
        assert "Too many sign-ups" in refused.text
        assert 'value="one-more"' in refused.text, "what was typed is lost"
        assert PASSWORD not in refused.text
        assert "value=" in refused.text and 'id="signup_submit"' in refused.text
        assert other.sign_up("another", PASSWORD).status_code == 200


def test_an_address_that_the_visitor_made_up_is_not_theirs(platform):
    with platform.browser("192.0.2.20") as one:
        for number in range(3):
            one.sign_up(f"liar-{number}", PASSWORD)
    with platform.browser("203.0.113.9, 192.0.2.20") as same:
        assert wait_is_told(same.sign_up("liar", PASSWORD))


def test_names_that_are_taken_are_not_listed_by_asking(platform):
    with platform.browser("192.0.2.30") as browser:
        for _ in range(3):
            assert "taken" in browser.sign_up("admin", PASSWORD).text
        assert "taken" not in browser.sign_up("admin", PASSWORD).text


def test_a_form_that_is_filled_in_badly_is_no_sign_up(platform):
    with platform.browser("192.0.2.40") as browser:
        for _ in range(5):
            assert browser.sign_up("carl", PASSWORD, "something else").status_code == 400
        assert browser.sign_up("carl", PASSWORD).status_code == 200


@pytest.mark.parametrize("name", ["admin", "nobody-of-this-name", "no name!"])
def test_guessing_ends_for_a_known_and_for_an_unknown_name_alike(platform, name):
    with platform.browser("192.0.2.50") as stranger:
        for _ in range(10):
            wrong = stranger.log_in(name, "a guess")
            assert wrong.status_code == 403
            assert "Invalid username or password" in wrong.text
        ended = stranger.log_in(name, "a guess")
        assert wait_is_told(ended)
        assert "Too many wrong passwords" in ended.text
        assert 'id="login_submit"' in ended.text


def test_a_stranger_at_the_same_address_does_not_lock_out_who_was_here_before(platform):
    with platform.browser("192.0.2.60") as at_home, platform.browser("192.0.2.60") as stranger:
        at_home.log_in("admin", ADMIN_PASSWORD)
        at_home.get("/hub/logout")
        for _ in range(11):
            ended = stranger.log_in("admin", "a guess")
        assert ended.status_code == 429
        assert stranger.log_in("admin", ADMIN_PASSWORD).status_code == 429
        assert at_home.log_in("admin", ADMIN_PASSWORD).url.path == "/hub/home"


def test_an_unknown_name_is_refused_no_sooner_than_a_known_one(platform):
    with platform.browser("192.0.2.70") as stranger:
        seconds: dict[str, list[float]] = {"admin": [], "nobody": []}
        for name in ("admin", "nobody") * 3:
            seconds[name].append(stranger.log_in(name, "a guess").elapsed.total_seconds())
    assert min(map(min, seconds.values())) >= 0.5
    assert abs(median(seconds["admin"]) - median(seconds["nobody"])) < 0.3


def test_an_old_password_is_kept_anew_at_its_next_login(platform):
    database = create_engine(f"sqlite:///{platform.folder}/hub.sqlite")
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10))
    with platform.browser("192.0.2.80") as browser, platform.browser() as admin:
        browser.sign_up("oldtimer", PASSWORD)
        admin.log_in("admin", ADMIN_PASSWORD)
        admin.submit("/hub/authorize", "/hub/authorize/oldtimer", action="approve")
        with database.begin() as db:
            db.execute(
                text("UPDATE users_info SET password = :old WHERE username = 'oldtimer'"), {"old": old}
            )
        assert browser.log_in("oldtimer", "a guess").status_code == 403
        assert kept_of(database, "oldtimer") == old
        assert browser.log_in("oldtimer", PASSWORD).url.path == "/hub/home"
        assert kept_of(database, "oldtimer").startswith(b"$argon2id$")
        browser.get("/hub/logout")
        assert browser.log_in("oldtimer", PASSWORD).url.path == "/hub/home"


def kept_of(database, name: str) -> bytes:
    with database.connect() as db:
        return db.execute(
            text("SELECT password FROM users_info WHERE username = :name"), {"name": name}
        ).scalar_one()
