"""What makes a password good enough, and how it is kept. Knows nothing of accounts or pages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import bcrypt
import nativeauthenticator
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MINIMUM_LENGTH = 10
MAXIMUM_LENGTH = 256

# Argon2id with the numbers that OWASP's Password Storage Cheat Sheet asks for at least.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

# How passwords were kept before; bcrypt reads no further than 72 bytes, and raises.
OF_BEFORE = b"$2"
OF_BEFORE_BYTES = 72

NONE = b""
"""What is kept for who has not chosen a password yet. It matches nothing that can be typed."""

# However many people log in at once, hashing takes two processors and twice its 19 MiB, and never more.
_HASHING = ThreadPoolExecutor(2, thread_name_prefix="passwords")


def complaint(username: str, password: str, confirmation: str) -> str | None:
    """Why this cannot be the password, in words for the person who chose it; None if it can."""
    if password != confirmation:
        return "The two passwords differ. Type the same one twice."
    if len(password) < MINIMUM_LENGTH:
        return f"The password has {len(password)} characters; at least {MINIMUM_LENGTH} are needed."
    if len(password) > MAXIMUM_LENGTH:
        return f"The password has {len(password)} characters; at most {MAXIMUM_LENGTH} are taken."
    if password.lower() == username.lower():
        return "The password may not be the user name."
    if password.lower() in common_passwords():
        return "This password is one of the most common ones. Choose one that nobody else would."
    return None


async def hashed(password: str) -> bytes:
    return await asyncio.get_running_loop().run_in_executor(_HASHING, hash_of, password)


async def matches(password: str, kept: bytes | None) -> bool:
    """Takes its time by design, so it runs beside the hub's event loop; just as long for None, which is kept
    of a name that nobody has."""
    return await asyncio.get_running_loop().run_in_executor(_HASHING, is_hash_of, kept, password)


def hash_of(password: str) -> bytes:
    return HASHER.hash(password).encode()


def is_hash_of(kept: bytes | None, password: str) -> bool:
    if kept and kept.startswith(OF_BEFORE):
        typed = password.encode()
        return len(typed) <= OF_BEFORE_BYTES and bcrypt.checkpw(typed, kept)
    try:
        # What matches nothing is compared with something all the same, for the time it takes.
        return HASHER.verify(kept or nobodys(), password) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: bytes) -> bool:
    """Kept by an older algorithm, or with other numbers than today's."""
    return kept.startswith(OF_BEFORE) or HASHER.check_needs_rehash(kept.decode())


@cache
def nobodys() -> bytes:
    return hash_of("a password that nobody has")


@cache
def common_passwords() -> frozenset[str]:
    """The ten thousand most common ones, as NativeAuthenticator brings them, in small letters."""
    path = Path(nativeauthenticator.__file__).with_name("common-credentials.txt")
    return frozenset(line.strip().lower() for line in path.read_text().splitlines())
