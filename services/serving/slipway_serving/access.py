"""Around everything else: gives each request its id, and writes the access log.

The share of requests that are written is drawn; those that end in an error are always written, unless the log
is off. No line has a credential, a query or a body in it.
"""

from __future__ import annotations

import itertools
import logging
import random
import re
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from .identity import Caller
    from .observations import Exchange

log = logging.getLogger(__name__)
HEADER = b"x-request-id"
_SANE = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}").fullmatch
_KEY = re.compile(r"slipway_[\w.-]{8,}")
_LONGEST_PATH = 300


class Seen:
    """What is known of one request; filled in by those who handle it."""

    __slots__ = ("exchange", "refused", "request_id")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.exchange: Exchange | None = None
        self.refused: str | None = None


current: ContextVar[Seen | None] = ContextVar("current_request", default=None)
"""The request that the running task handles."""


class Access:
    """ASGI middleware, the outermost. share: of requests in the log, 0 for none."""

    def __init__(self, app: ASGIApp, share: float = 0, draw: Callable[[], float] = random.random) -> None:
        self._app, self._share, self._draw = app, share, draw
        # Told apart from another replica's, without asking the system for chance at each request.
        self._prefix, self._numbers = secrets.token_hex(6).encode(), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = b""
        for name, value in scope["headers"]:
            if name == HEADER and _SANE(value):
                own = value
        own = own or b"%s-%x" % (self._prefix, next(self._numbers))
        seen = Seen(own.decode())
        current.set(seen)
        began, status = time.perf_counter(), 0

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (HEADER, own)]}
            await send(message)

        try:
            await self._app(scope, receive, with_id)
        finally:
            if self._share and (status >= 400 or status == 0 or self._draw() < self._share):
                log.info("request", extra=_facts(scope, seen, status, time.perf_counter() - began))


def _facts(scope: Scope, seen: Seen, status: int, seconds: float) -> dict[str, Any]:
    exchange = seen.exchange
    caller = exchange.caller if exchange else scope.get("state", {}).get("caller")
    facts: dict[str, Any] = {
        "method": scope["method"],
        "path": _KEY.sub("slipway_…", scope["path"])[:_LONGEST_PATH],
        "status": status,
        "ms": _milliseconds(seconds),
        "request_id": seen.request_id,
        **who(caller),
    }
    if exchange is not None:
        if exchange.model is not None:
            facts.update(model=exchange.model.name, version=exchange.model.version, by=exchange.by)
        facts.update(route=exchange.route, outcome=exchange.outcome, rows=exchange.rows)
        facts["queue_ms"] = _milliseconds(exchange.queued)
    elif seen.refused is not None:
        facts["outcome"] = seen.refused
    return facts


def who(caller: Caller | None) -> dict[str, str | None]:
    """The caller as the log shows it."""
    if caller is None:
        return {"caller": None}
    shown: dict[str, str | None] = {"caller": caller.name, "caller_kind": caller.kind}
    return {**shown, "key_id": caller.key_id} if caller.key_id else shown


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
