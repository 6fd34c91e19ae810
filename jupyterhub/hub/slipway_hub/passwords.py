"""What makes a password good enough, and how it is kept. Knows nothing of accounts or pages."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path

import bcrypt
import nativeauthenticator

MINIMUM_LENGTH = 10
# bcrypt reads no further than this.
MAXIMUM_BYTES = 72


def complaint(username: str, password: str, confirmation: str) -> str | None:
    """Why this cannot be the password, in words for the person who chose it; None if it can."""
    if password != confirmation:
        return "The two passwords differ. Type the same one twice."
    if len(password) < MINIMUM_LENGTH:
        return f"The password has {len(password)} characters; at least {MINIMUM_LENGTH} are needed."
    if len(password.encode()) > MAXIMUM_BYTES:
        return f"The password is too long: at most {MAXIMUM_BYTES} letters, fewer with accents."
    if password.lower() == username.lower():
        return "The password may not be the user name."
    if password.lower() in common_passwords():
        return "This password is one of the most common ones. Choose one that nobody else would."
    return None


async def hashed(password: str) -> bytes:
    return await asyncio.to_thread(hash_of, password)


async def matches(password: str, kept: bytes) -> bool:
    """Takes a fifth of a second by design, so it runs beside the hub's event loop."""
    return await asyncio.to_thread(is_hash_of, kept, password)


def hash_of(password: str) -> bytes:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())


def is_hash_of(kept: bytes, password: str) -> bool:
    typed = password.encode()
    # Nobody's password is longer; bcrypt would raise.
    return len(typed) <= MAXIMUM_BYTES and bcrypt.checkpw(typed, kept)


@cache
def common_passwords() -> frozenset[str]:
    """The ten thousand most common ones, as NativeAuthenticator brings them, in small letters."""
    path = Path(nativeauthenticator.__file__).with_name("common-credentials.txt")
    return frozenset(line.strip().lower() for line in path.read_text().splitlines())
