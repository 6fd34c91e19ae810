"""What makes a password good enough."""

import pytest
from slipway_hub.passwords import complaint, hash_of, is_hash_of


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("ninechars", "9 characters"),
        ("1234567890", "most common"),
        ("QWERTYUIOP", "most common"),
        ("x" * 73, "too long"),
        ("é" * 37, "too long"),
        ("Alice.Smith", "may not be the user name"),
    ],
)
def test_a_bad_password_is_told_why(password, says):
    assert says in complaint("alice.smith", password, password)


def test_two_different_ones_are_told_first():
    assert "differ" in complaint("alice", "short", "other")


@pytest.mark.parametrize("password", ["abcd-efgh-jkmn-pqrs", "  leading and trailing  ", "é" * 36])
def test_a_good_password_is_kept_as_a_hash_that_knows_it(password):
    assert complaint("alice", password, password) is None
    kept = hash_of(password)
    assert password.encode() not in kept
    assert is_hash_of(kept, password)
    assert not is_hash_of(kept, password + ".")


def test_a_password_longer_than_any_kept_one_is_wrong_not_an_error():
    assert not is_hash_of(hash_of("a good password"), "x" * 1000)
