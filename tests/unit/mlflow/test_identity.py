"""Who a request is from, by its headers alone."""

from __future__ import annotations

import pytest
from slipway_mlflow.identity import READER, Caller, Recognition, Unknown

SECRET, TOKEN = "the gateway's own", "the reader's own"
RECOGNITION = Recognition(SECRET, TOKEN)


def caller(*headers: tuple[str, str]) -> Caller:
    return RECOGNITION.caller([(name.lower().encode(), value.encode()) for name, value in headers])


THROUGH = ("X-Gateway-Secret", SECRET)
ALICE = ("X-Remote-User", "alice")


def test_a_person_as_the_gateway_names_them():
    said = caller(THROUGH, ALICE, ("X-Remote-Groups", "team, other,,"), ("X-Remote-Admin", "1"))
    assert said == Caller("alice", admin=True, groups=frozenset({"team", "other"}))
    assert not said.reads_only


@pytest.mark.parametrize("admin", ["0", "", "true", "yes", "01"])
def test_only_a_one_makes_an_administrator(admin):
    assert not caller(THROUGH, ALICE, ("X-Remote-Admin", admin)).admin


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [ALICE],
        [ALICE, ("X-Gateway-Secret", "guessed")],
        [ALICE, ("X-Gateway-Secret", "")],
        [THROUGH],
        [THROUGH, ("X-Remote-User", "")],
        [THROUGH, ALICE, ALICE],
        [THROUGH, ALICE, ("X-Remote-User", "root")],
        [THROUGH, ("X-Gateway-Secret", "guessed"), ALICE],
        [THROUGH, ALICE, ("X-Remote-Admin", "0"), ("X-Remote-Admin", "1")],
        [ALICE, ("X_Gateway_Secret", SECRET)],
        [("Authorization", "Bearer guessed")],
        [("Authorization", f"Basic {TOKEN}")],
        [("Authorization", TOKEN)],
        # The gateway takes the caller's own credentials away: both at once is nobody.
        [("X-Gateway-Secret", "guessed"), ("Authorization", f"Bearer {TOKEN}")],
    ],
)
def test_everything_else_is_nobody(headers):
    with pytest.raises(Unknown):
        caller(*headers)


@pytest.mark.parametrize("name", ["_slipway", "_serving", "Alice", "-a", "a b", "a/b", "é", "a" * 65])
def test_a_name_that_the_hub_cannot_have_is_nobodys(name):
    with pytest.raises(Unknown):
        caller(THROUGH, ("X-Remote-User", name))


def test_serving_is_the_reader_and_nothing_that_it_says_of_itself():
    said = caller(("Authorization", f"bearer {TOKEN}"), ALICE, ("X-Remote-Admin", "1"))
    assert said == Caller(READER)
    assert said.reads_only
