"""What makes a password good enough, and how it is kept."""

import time

import bcrypt
import pytest
from slipway_hub.passwords import NONE, complaint, hash_of, is_hash_of, is_outdated, nobodys


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("ninechars", "9 characters"),
        ("1234567890", "most common"),
        ("QWERTYUIOP", "most common"),
        ("x" * 257, "at most 256"),
        ("Alice.Smith", "may not be the user name"),
    ],
)
def test_a_bad_password_is_told_why(password, says):
    assert says in complaint("alice.smith", password, password)


def test_two_different_ones_are_told_first():
    assert "differ" in complaint("alice", "short", "other")


@pytest.mark.parametrize("password", ["abcd-efgh-jkmn-pqrs", "  leading and trailing  ", "é" * 256])
def test_a_good_password_is_kept_as_a_hash_that_knows_it(password):
    assert complaint("alice", password, password) is None
    kept = hash_of(password)
    assert password.encode() not in kept
    assert is_hash_of(kept, password)
    assert not is_hash_of(kept, password + ".")


def test_it_is_kept_by_argon2id():
    assert hash_of("a good password").startswith(b"$argon2id$v=19$m=19456,t=2,p=1$")
    assert not is_outdated(hash_of("a good password"))


def test_a_password_of_before_is_known_and_outdated():
    kept = bcrypt.hashpw(b"a good password", bcrypt.gensalt(4))
    assert is_hash_of(kept, "a good password")
    assert not is_hash_of(kept, "another password")
    assert not is_hash_of(kept, "x" * 1000), "wrong, and not an error of bcrypt's"
    assert is_outdated(kept)


@pytest.mark.parametrize("kept", [NONE, None, b"no hash at all"])
@pytest.mark.parametrize("typed", ["", "a good password", "a password that nobody has"])
def test_what_is_no_password_matches_nothing(kept, typed):
    assert not is_hash_of(kept, typed)


def test_a_name_that_nobody_has_takes_as_long():
    kept = hash_of("a good password")
    nobodys()

    def seconds(what) -> float:
        began = time.process_time()
        for _ in range(5):
            is_hash_of(what, "a wrong password")
        return time.process_time() - began

    assert 0.5 < seconds(None) / seconds(kept) < 2
