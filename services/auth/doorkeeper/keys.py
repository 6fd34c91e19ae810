"""What an API key is: its text, its claims, who signs it, and what may be asked for. No HTTP, no database.

A key is `slipway_` and a JSON Web Token signed with Ed25519. Serving checks it with the public key alone, so
nothing here needs to answer while predictions are asked for.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from doorkeeper.answers import Refused

PREFIX = "slipway_"
ISSUER = "slipway"
AUDIENCE = "slipway-serving"
EVERY_MODEL = "*"
MAX_DAYS = 3650
DEFAULT_DAYS = 90
MAX_MODELS = 50
MAX_MODEL_LETTERS = 250
DAY = 24 * 60 * 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Wanted:
    """A key as it is asked for: sound, but not yet known to be allowed."""

    name: str
    models: tuple[str, ...]
    days: int


@dataclass(frozen=True)
class Key:
    """What is kept of a key. Times are seconds since 1970; kid names the signing key it was made with."""

    id: str
    name: str
    models: tuple[str, ...]
    owner: str
    created: int
    expires: int
    kid: str
    revoked: int | None = None


def read_wanted(body: bytes) -> Wanted:
    """{"name", "models", "days"} -> what is wanted; raises Refused, which names the field."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong('the body is no JSON: send {"name": "my-app", "models": ["red-blue"]}') from None
    if not isinstance(document, dict):
        raise _wrong('the body is no JSON object: send {"name": "my-app", "models": ["red-blue"]}')
    if unknown := document.keys() - {"name", "models", "days"}:
        raise _wrong(f"{min(unknown)[:50]}: there is no such field; there are name, models and days")
    return Wanted(
        _name(document.get("name")),
        _models(document.get("models")),
        _days(document.get("days", DEFAULT_DAYS)),
    )


def make(wanted: Wanted, owner: str, kid: str, now: int) -> Key:
    return Key(
        id=secrets.token_hex(8),
        name=wanted.name,
        models=wanted.models,
        owner=owner,
        created=now,
        expires=now + wanted.days * DAY,
        kid=kid,
    )


class Signer:
    """Signs with the key pair that a seed of 64 hexadecimal digits makes.

    Another seed is another pair: the old public key is then nowhere published, and every key that was signed
    with it is refused.
    """

    def __init__(self, seed: str) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
        raw = self._private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.public_key = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        self.kid = hashlib.sha256(raw).hexdigest()[:16]

    def text(self, key: Key) -> str:
        """The key as an application sends it. It is kept nowhere."""
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": key.name,
            "jti": key.id,
            "iat": key.created,
            "exp": key.expires,
            "models": list(key.models),
        }
        return PREFIX + jwt.encode(claims, self._private, "EdDSA", headers={"kid": self.kid})


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _wrong(
            "name: give the application a name of 1 to 64 letters, digits, dots, hyphens and underscores "
            "that begins with a letter or a digit"
        )
    return value


def _models(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_MODELS:
        raise _wrong(
            f'models: give a list of 1 to {MAX_MODELS} names of registered models, such as ["red-blue"]'
        )
    for one in value:
        if not isinstance(one, str) or not 1 <= len(one) <= MAX_MODEL_LETTERS or not one.isprintable():
            raise _wrong(
                f"models: each is the name of a registered model, of 1 to {MAX_MODEL_LETTERS} letters"
            )
    if EVERY_MODEL in value and len(value) > 1:
        raise _wrong("models: * stands for all of them; give it alone")
    return tuple(dict.fromkeys(value))


def _days(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_DAYS:
        raise _wrong(f"days: give a whole number of days from 1 to {MAX_DAYS}")
    return value


def _wrong(message: str) -> Refused:
    return Refused(400, "INVALID_PARAMETER_VALUE", message)
