"""Makes a link that logs one browser in, once, as the hub's slipway_hub/login_links.py understands it."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from pathlib import Path
from urllib.parse import urlencode


def make(folder: Path, user: str, public_url: str, now: float, seconds: int = 900) -> str:
    """The whole address, good for `seconds` from `now`; removes the links that are too old."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_expired(folder, now)
    token = secrets.token_urlsafe(32)
    path = folder / (hashlib.sha256(token.encode()).hexdigest() + ".json")
    write(path, json.dumps({"user": user, "expires": now + seconds}))
    return public_url.rstrip("/") + "/hub/one-time-login?" + urlencode({"token": token})


def remove_expired(folder: Path, now: float) -> None:
    for path in folder.glob("*.json"):
        if expires(path) <= now:
            try:
                path.unlink()
            except FileNotFoundError:  # used this very moment
                continue


def expires(path: Path) -> float:
    """The moment from which it is of no use; 0 for a file that says nothing of the kind."""
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["expires"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write(path: Path, text: str) -> None:
    """Whole or not at all, for this account alone."""
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)
