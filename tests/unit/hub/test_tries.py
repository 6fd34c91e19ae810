"""How often somebody may try: whose address counts, who is counted together, and who is never locked out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from slipway_hub import tries
from slipway_hub.tries import TooMany, Tries, address_of, in_words
from tornado.httputil import HTTPHeaders


def request(forwarded: str | None = None) -> SimpleNamespace:
    headers = HTTPHeaders({"X-Forwarded-For": forwarded} if forwarded is not None else {})
    return SimpleNamespace(headers=headers, remote_ip="10.0.0.9")


class Browser:
    """A handler, as far as it is asked: an address and one cookie."""

    def __init__(self, address: str = "192.0.2.1", known_as: str = "") -> None:
        self.request = request(f"{address}, 10.0.0.2")
        self.cookie = f"{known_as} mark".encode() if known_as else None

    def get_secure_cookie(self, name: str, max_age_days: int) -> bytes | None:
        return self.cookie


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1, 10.0.0.2", "192.0.2.1"),
        ("198.51.100.7, 192.0.2.1, 10.0.0.2", "192.0.2.1"),  # the first is the visitor's own invention
        ("192.0.2.1", "192.0.2.1"),
        (None, "10.0.0.9"),
        ("", "10.0.0.9"),
        ("not an address, 10.0.0.2", "unknown"),
        ("2001:db8:1:2:aaaa::1, 10.0.0.2", "2001:db8:1:2::/64"),
    ],
)
def test_the_address_is_the_one_that_the_gateway_has_written(forwarded, address):
    assert address_of(request(forwarded)) == address


def test_sign_ups_are_counted_for_each_address_and_for_all_together():
    counts = Tries(signups_per_hour=2)
    for number in range(10):
        for _ in range(2):
            counts.sign_up(request(f"192.0.2.{number}, 10.0.0.2"))
    with pytest.raises(TooMany) as of_one:
        counts.sign_up(request("192.0.2.1, 10.0.0.2"))
    with pytest.raises(TooMany):
        counts.sign_up(request("192.0.2.77, 10.0.0.2"))
    assert of_one.value.status_code == 429
    assert 3590 <= int(of_one.value.headers["Retry-After"]) <= 3600


def fail(counts: Tries, browser: Browser, times: int, name: str = "ann") -> None:
    for _ in range(times):
        counts.log_in(browser, name)


def test_ten_wrong_passwords_for_one_person_are_enough_from_one_address():
    counts = Tries(20)
    fail(counts, Browser(), 10)
    with pytest.raises(TooMany, match="wrong passwords"):
        fail(counts, Browser(), 1)
    fail(counts, Browser("192.0.2.2"), 1)
    fail(counts, Browser(), 1, "ben")


def test_names_are_not_tried_one_after_the_other():
    counts = Tries(20)
    for number in range(100):
        fail(counts, Browser(), 1, f"user{number}")
    with pytest.raises(TooMany):
        fail(counts, Browser(), 1, "user100")


def test_many_addresses_do_not_guess_for_ever_and_do_not_lock_the_person_out():
    counts = Tries(20)
    for number in range(10):
        fail(counts, Browser(f"192.0.2.{number}"), 10)
    with pytest.raises(TooMany):
        fail(counts, Browser("198.51.100.1"), 1)
    fail(counts, Browser("198.51.100.1", known_as="ann"), 10)
    with pytest.raises(TooMany):
        fail(counts, Browser("198.51.100.1", known_as="ann"), 1)


def test_a_browser_that_is_known_for_one_person_is_a_strangers_for_another():
    counts = Tries(20)
    fail(counts, Browser(known_as="ben"), 10)
    with pytest.raises(TooMany):
        fail(counts, Browser(), 1)


def test_a_right_password_is_no_try():
    counts = Tries(20)
    for _ in range(300):
        counts.was_right(counts.log_in(Browser(), "ann"))


def test_waiting_is_told_in_minutes():
    assert [in_words(seconds) for seconds in (1, 60, 61, 3600)] == [
        "a minute",
        "a minute",
        "2 minutes",
        "60 minutes",
    ]
    assert TooMany("Too many.", -3).seconds == 1
    assert tries.KNOWN_BROWSER_DAYS == 90
