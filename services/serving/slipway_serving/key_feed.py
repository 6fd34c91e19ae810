"""Follows what the door-keeper publishes of its keys, and keeps it for a start without the door-keeper."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .cache import INCOMING
from .errors import first_line
from .keys import Keys, read_feed
from .shelf import now_text

log = logging.getLogger(__name__)

FILE = "keys.json"
TIMEOUT_SECONDS = 5
# A revoked key takes some 50 bytes: this is far more than one platform makes.
MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class FeedState:
    """known: whether keys can be checked at all. The rest is of the last look; times are ISO 8601."""

    known: bool = False
    reachable: bool | None = None
    error: str | None = None
    last_success: str | None = None


class KeyFeed:
    def __init__(self, url: str, folder: Path, keys: Keys, seconds: float) -> None:
        """folder: where the latest is kept; replicas may share it."""
        self.state = FeedState()
        self._url, self._file, self._keys, self._seconds = url, folder / FILE, keys, seconds
        # The door-keeper is asked at its own address, whatever proxy the environment names for the outside.
        self._http = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._version: object = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="key-feed", daemon=True)

    def start(self) -> None:
        """What was kept counts before the first request; then the looks begin."""
        self.restore()
        self._thread.start()

    def stop(self, timeout: float = TIMEOUT_SECONDS + 1) -> None:
        self._stop.set()
        self._thread.join(timeout)

    def restore(self) -> None:
        try:
            self._keys.update(read_feed(json.loads(self._file.read_bytes())))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            log.warning("the kept list of keys is not usable", extra={"reason": first_line(error)})
            return
        self.state = replace(self.state, known=True)

    def look(self) -> None:
        """One question to the door-keeper, and what follows from the answer."""
        try:
            document = self._fetch()
            if document.get("version") is None or document["version"] != self._version:
                feed = self._keys.update(read_feed(document))
                self._version = document.get("version")
                revoked = [{"id": key_id, "exp": exp} for key_id, exp in feed.revoked.items()]
                self._keep({**document, "revoked": revoked})
        except (OSError, ValueError, AttributeError) as error:
            if self.state.reachable is not False:
                log.warning("the list of keys cannot be fetched", extra={"reason": first_line(error)})
            self.state = replace(self.state, reachable=False, error=first_line(error))
            return
        if self.state.reachable is False:
            log.info("the list of keys is followed again")
        self.state = FeedState(known=True, reachable=True, last_success=now_text())

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.look()
            except Exception:
                # Whatever it was, the next look must happen: without it no revocation is heard of.
                log.exception("a look at the list of keys failed")
            self._stop.wait(self._seconds)

    def _fetch(self) -> dict[str, Any]:
        with self._http.open(self._url, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise ValueError("the list of keys is far too long")
        return json.loads(body)

    def _keep(self, document: dict[str, Any]) -> None:
        """Whole or not at all; a full disk must not stop keys from being followed."""
        try:
            handle, name = tempfile.mkstemp(prefix=INCOMING, dir=self._file.parent)
            with os.fdopen(handle, "w") as file:
                json.dump(document, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._file)
        except OSError:
            log.exception("the list of keys cannot be kept")
