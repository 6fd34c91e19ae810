"""Checks API keys with what the door-keeper publishes, in this process and without asking anybody.

A key is `slipway_` and a JSON Web Token. Its signature is checked once; whether it has expired or was
revoked, at every request.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from .errors import Refused
from .identity import Caller, application

PREFIX = "slipway_"
ISSUER = "slipway"
AUDIENCE = "slipway-serving"
ALGORITHM = "EdDSA"
# Longer than any key with the models a key may have; what is longer is not even looked at.
MAX_LETTERS = 32_000
SIGNATURE_LETTERS = 86
REMEMBERED = 10_000
INCOMPLETE = "it is damaged or incomplete"
_OPTIONS: Any = {
    "require": ["iss", "aud", "sub", "jti", "iat", "exp", "models"],
    # Looked at below, at every request.
    "verify_exp": False,
    # A door-keeper whose clock is ahead makes keys that are good all the same.
    "verify_iat": False,
}


@dataclass(frozen=True)
class Feed:
    """What the door-keeper publishes. revoked: when each revoked key expires, by the key's id."""

    public_keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    revoked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Checked:
    caller: Caller
    expires: int


def read_feed(document: Any) -> Feed:
    """{"keys": [{"kid", "public_key"}], "revoked": [{"id", "exp"}]}; raises ValueError for anything else."""
    try:
        public_keys = {str(one["kid"]): _public_key(one["public_key"]) for one in document["keys"]}
        revoked = {str(one["id"]): int(one["exp"]) for one in document["revoked"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no list of keys ({type(error).__name__}: {error})") from None
    return Feed(public_keys, revoked)


@dataclass(frozen=True)
class _Known:
    """A feed, and what was checked with its public keys: by key, and by the whole header that it came in, so
    that a key that was seen costs one look into a table.
    """

    feed: Feed
    keys: dict[str, _Checked] = field(default_factory=dict)
    headers: dict[bytes, _Checked] = field(default_factory=dict)


class Keys:
    """Safe to use from any thread: a check sees one feed from start to end."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._known: _Known | None = None

    @property
    def known(self) -> bool:
        """False until a feed was seen: then nothing can be said of any key."""
        return self._known is not None

    def update(self, feed: Feed) -> Feed:
        """From now on this feed counts; gives it with what is added to it.

        What was revoked once stays so until it expires, whatever is said later: a door-keeper that lost its
        memory must not bring a stolen key back to life.
        """
        before, now = self._known, self._now()
        if before is None:
            self._known = _Known(feed)
            return feed
        kept = {key_id: exp for key_id, exp in before.feed.revoked.items() if exp > now}
        feed = Feed(feed.public_keys, {**kept, **feed.revoked})
        same = before.feed.public_keys == feed.public_keys
        self._known = _Known(feed, before.keys, before.headers) if same else _Known(feed)
        return feed

    def known_caller(self, header: bytes) -> Caller | None:
        """Whose key is in this header, where it was checked before; raises Refused if it is good no more."""
        known = self._known
        checked = None if known is None else known.headers.get(header)
        return None if checked is None else self._still_good(checked, known.feed)  # type: ignore[union-attr]

    def caller(self, text: str, header: bytes | None = None) -> Caller:
        """Whose key this is; raises Refused, which says what is wrong with it.

        header: the one it came in, for `known_caller`.
        """
        known = self._known
        if known is None:
            raise Refused(
                "keys_unknown",
                "keys cannot be checked yet, because the door-keeper was not reached since this server was "
                "made: try again",
                None,
                5,
            )
        checked = known.keys.get(text)
        if checked is None:
            checked = _check(text, known.feed)
            _remember(known.keys, text, checked)
        if header is not None:
            _remember(known.headers, header, checked)
        return self._still_good(checked, known.feed)

    def _still_good(self, checked: _Checked, feed: Feed) -> Caller:
        if checked.caller.key_id in feed.revoked:
            raise _wrong("revoked_key", f"the key of {checked.caller.name!r} was revoked: ask for a new one")
        if checked.expires <= self._now():
            raise _wrong("expired_key", f"the key of {checked.caller.name!r} has expired: ask for a new one")
        return checked.caller


def _remember(table: dict[Any, _Checked], key: Any, checked: _Checked) -> None:
    if len(table) >= REMEMBERED:
        table.clear()
    table[key] = checked


def _check(text: str, feed: Feed) -> _Checked:
    """What holds for as long as the public keys stay the same."""
    if not text.startswith(PREFIX) or len(text) > MAX_LETTERS:
        raise _malformed(f"a key begins with {PREFIX}")
    token = text.removeprefix(PREFIX)
    if len(token.rpartition(".")[2]) != SIGNATURE_LETTERS:
        raise _malformed(INCOMPLETE)
    try:
        header = jwt.get_unverified_header(token)
        # Never chosen by the caller: there is one algorithm.
        public_key = feed.public_keys.get(header["kid"]) if header["alg"] == ALGORITHM else None
        if public_key is None:
            raise _foreign()
        claims = jwt.decode(
            token, public_key, [ALGORITHM], options=_OPTIONS, audience=AUDIENCE, issuer=ISSUER
        )
        return _claims(claims)
    except (jwt.InvalidSignatureError, jwt.InvalidAudienceError, jwt.InvalidIssuerError):
        raise _foreign() from None
    except (jwt.PyJWTError, KeyError, TypeError, ValueError):
        raise _malformed(INCOMPLETE) from None


def _claims(claims: dict[str, Any]) -> _Checked:
    name, key_id, models, expires = claims["sub"], claims["jti"], claims["models"], claims["exp"]
    if not isinstance(models, list) or not all(isinstance(one, str) for one in models):
        raise TypeError("models")
    return _Checked(application(str(name), str(key_id), models), int(expires))


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    return Ed25519PublicKey.from_public_bytes(raw)


def _wrong(code: str, message: str) -> Refused:
    return Refused(code, message, "Authorization")


def _malformed(why: str) -> Refused:
    return _wrong(
        "malformed_key", f"this is no API key, {why}: send the whole of what `slipway keys create` showed"
    )


def _foreign() -> Refused:
    return _wrong("foreign_key", "this platform has not made this key, or not with its present signing key")
