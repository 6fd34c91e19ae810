"""Which keys are let in: every way in which one can be wrong is told apart, and none slips by."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from slipway_serving.errors import Refused
from slipway_serving.keys import Keys, read_feed

NOW = 1_800_000_000
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"p" * 32)
FOREIGN = Ed25519PrivateKey.from_private_bytes(b"f" * 32)
RAW = PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
CLAIMS = {
    "iss": "slipway",
    "aud": "slipway-serving",
    "sub": "my-app",
    "jti": "id-1",
    "iat": NOW,
    "exp": NOW + 100,
    "models": ["red-blue"],
}


def feed(revoked: dict[str, int] | None = None, kid: str = "kid-1", private=PRIVATE) -> dict:
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    public = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    return {
        "keys": [{"kid": kid, "public_key": public}],
        "revoked": [{"id": one, "exp": exp} for one, exp in (revoked or {}).items()],
    }


def key(private=PRIVATE, kid: str | None = "kid-1", without: str | None = None, **claims) -> str:
    content = {**CLAIMS, **claims}
    content.pop(without, None)
    headers = {"kid": kid} if kid is not None else {}
    return "slipway_" + jwt.encode(content, private, "EdDSA", headers=headers)


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(clock) -> Keys:
    keys = Keys(clock)
    keys.update(read_feed(feed()))
    return keys


def refused(keys: Keys, text: str) -> str:
    with pytest.raises(Refused) as caught:
        keys.caller(text)
    assert len(text) < 60 or text[20:] not in caught.value.message
    return caught.value.code


def test_a_good_key_names_its_application_and_its_models(keys):
    caller = keys.caller(key())
    assert (caller.kind, caller.name, caller.key_id) == ("application", "my-app", "id-1")
    assert caller.may_use("red-blue")
    assert not caller.may_use("green")
    with pytest.raises(Refused, match="not for the model 'green'"):
        caller.require("green")


def test_a_star_is_every_model_and_no_list_is_none(keys):
    assert keys.caller(key(models=["*"])).may_use("anything")
    assert not keys.caller(key(models=[])).may_use("anything")


def b64(part: object) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forged(header: dict, claims: dict, signature: bytes = b"s" * 64) -> str:
    return f"slipway_{b64(header)}.{b64(claims)}.{b64(signature)}"


def signed_with_the_public_key() -> str:
    """The old trick: the public key, which everybody may know, taken for a shared secret."""
    header = {"alg": "HS512", "typ": "JWT", "kid": "kid-1"}
    content = f"{b64(header)}.{b64(CLAIMS)}"
    return f"slipway_{content}.{b64(hmac.digest(RAW, content.encode(), hashlib.sha512))}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (key(private=FOREIGN), "foreign_key"),
        (key(kid="kid-2"), "foreign_key"),
        (key(kid=None), "malformed_key"),
        (key(iss="somebody"), "foreign_key"),
        (key(aud="another-service"), "foreign_key"),
        (signed_with_the_public_key(), "foreign_key"),
        (forged({"alg": "none", "kid": "kid-1"}, CLAIMS, b""), "malformed_key"),
        (forged({"alg": "none", "kid": "kid-1"}, CLAIMS), "foreign_key"),
        (forged({"alg": "None", "kid": "kid-1"}, CLAIMS), "foreign_key"),
        (forged({"alg": "EdDSA", "kid": "kid-1"}, CLAIMS), "foreign_key"),
        (forged({"alg": "EdDSA", "kid": ["kid-1"]}, CLAIMS), "malformed_key"),
        (forged({"alg": ["EdDSA"], "kid": "kid-1"}, CLAIMS), "foreign_key"),
        (forged({"alg": "EdDSA", "kid": "kid-1", "crit": ["b64"], "b64": False}, CLAIMS), "malformed_key"),
        (key()[:-1], "malformed_key"),
        (key()[:-10], "malformed_key"),
        (key()[:200], "malformed_key"),
        (key()[:40], "malformed_key"),
        (key() + "A", "malformed_key"),
        ("slipway_", "malformed_key"),
        ("slipway_a.b.c", "malformed_key"),
        ("slipway_ä.ö.ü", "malformed_key"),
        ("slipway_" + "." * 100, "malformed_key"),
        ("slipway_" + "A" * 100_000, "malformed_key"),
        ("", "malformed_key"),
        ("a-hub-token", "malformed_key"),
        (key().removeprefix("slipway_"), "malformed_key"),
        (key(models="*"), "malformed_key"),
        (key(models=[1]), "malformed_key"),
        *((key(without=claim), "malformed_key") for claim in CLAIMS),
    ],
)
def test_what_is_wrong_with_a_key_is_told(keys, text, code):
    assert refused(keys, text) == code


def test_a_changed_letter_anywhere_is_noticed(keys):
    good = key()
    assert keys.caller(good)
    for place in range(len("slipway_"), len(good), 7):
        changed = good[:place] + ("A" if good[place] != "A" else "B") + good[place + 1 :]
        assert refused(keys, changed) in ("malformed_key", "foreign_key")


def test_a_key_that_was_good_expires(keys, clock):
    text = key()
    assert keys.caller(text)
    clock.now = CLAIMS["exp"]
    assert refused(keys, text) == "expired_key"
    assert refused(keys, key(exp=NOW - 1)) == "expired_key"


def test_a_key_of_a_door_keeper_whose_clock_is_ahead_is_good(keys):
    assert keys.caller(key(iat=NOW + 300))


def test_a_key_that_was_good_is_revoked_at_once_and_stays_so(keys, clock):
    text, other = key(), key(jti="id-2")
    assert keys.caller(text)
    keys.update(read_feed(feed({"id-1": NOW + 100})))
    assert refused(keys, text) == "revoked_key"
    assert keys.caller(other)
    keys.update(read_feed(feed()))
    assert refused(keys, text) == "revoked_key", "a door-keeper that forgot brought it back"


def test_what_is_revoked_and_has_expired_is_forgotten(keys, clock):
    keys.update(read_feed(feed({"id-1": NOW + 100})))
    clock.now = NOW + 200
    assert keys.update(read_feed(feed())).revoked == {}


def test_with_another_signing_key_the_old_keys_are_no_good(keys):
    text = key()
    assert keys.caller(text)
    keys.update(read_feed(feed(kid="kid-2", private=FOREIGN)))
    assert refused(keys, text) == "foreign_key"
    assert keys.caller(key(private=FOREIGN, kid="kid-2"))


def test_before_the_first_feed_nothing_is_allowed():
    keys = Keys()
    assert not keys.known
    assert refused(keys, key()) == "keys_unknown"


def test_memory_is_bounded(keys):
    for number in range(20):
        keys.caller(key(jti=str(number)))
    assert len(keys._known.keys) == 20
    keys._known.keys.update(dict.fromkeys(map(str, range(10_000))))
    keys._known.headers.update(dict.fromkeys(range(10_000)))
    assert keys.caller(key(), b"Bearer")
    assert len(keys._known.keys) == len(keys._known.headers) == 1


def test_a_header_that_was_seen_is_known_until_its_key_is_not_good_any_more(keys):
    text, header = key(jti="id-1"), b"Bearer the-header"
    assert keys.known_caller(header) is None
    assert keys.caller(text, header) is keys.known_caller(header)
    keys.update(read_feed(feed({"id-1": NOW + 100})))
    assert refused(keys, text) == "revoked_key"
    with pytest.raises(Refused) as caught:
        keys.known_caller(header)
    assert caught.value.code == "revoked_key"
    keys.update(read_feed(feed(kid="kid-2", private=FOREIGN)))
    assert keys.known_caller(header) is None


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"keys": []},
        {"keys": [{"kid": "k"}], "revoked": []},
        {"keys": [{"kid": "k", "public_key": "!"}], "revoked": []},
        {"keys": [{"kid": "k", "public_key": "AAAA"}], "revoked": []},
        {"keys": [], "revoked": [{"id": "x", "exp": "soon"}]},
    ],
)
def test_what_is_no_feed_changes_nothing(document):
    with pytest.raises(ValueError):
        read_feed(document)
