"""Lets nobody in without knowing who it is. What stands behind it finds the caller in the request's state.

Only where the process says how it is may anybody ask. Everything else needs an API key, the gateway's word
for a person, or the token of a service of ours, which only reads.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable, Mapping

from fastapi import Request
from fastapi.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Refused
from .identity import PORTAL, Caller, person
from .keys import Keys

log = logging.getLogger(__name__)

FREE = frozenset({"/health", "/ready", "/metrics", "/ping", "/v2/health/live", "/v2/health/ready"})
_READS = frozenset({"GET", "HEAD"})


class Doors:
    """Tells callers by their headers."""

    def __init__(self, keys: Keys, gateway_secret: str, reader_token: str) -> None:
        self._keys = keys
        self._gateway_secret = gateway_secret.encode()
        self._reader_token = reader_token.encode()

    def caller(self, headers: Mapping[bytes, bytes]) -> Caller | None:
        """Who sent these headers, None for nobody; raises Refused for a credential that is no good.

        A credential that was sent is the only one looked at.
        """
        if credential := headers.get(b"authorization"):
            return self._keys.known_caller(credential) or self._by_credential(credential)
        user = headers.get(b"x-remote-user")
        if user and hmac.compare_digest(headers.get(b"x-gateway-secret", b""), self._gateway_secret):
            return person(user.decode("latin-1"))
        return None

    def _by_credential(self, credential: bytes) -> Caller:
        scheme, _, token = credential.partition(b" ")
        token = token.strip()
        if scheme.lower() != b"bearer":
            raise Refused(
                "malformed_key", "send the key as `Authorization: Bearer slipway_…`", "Authorization"
            )
        if hmac.compare_digest(token, self._reader_token):
            return PORTAL
        return self._keys.caller(token.decode("latin-1"), credential)


class Guard:
    """ASGI middleware. refuse: turns a Refused of a path into an answer; note: told the reason of each."""

    def __init__(
        self,
        app: ASGIApp,
        doors: Doors,
        refuse: Callable[[Refused, str], Response],
        note: Callable[[str], None],
    ) -> None:
        self._app, self._doors, self._refuse, self._note = app, doors, refuse, note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        free = path_of(scope) in FREE
        try:
            caller = self._doors.caller(dict(scope["headers"]))
            if not free:
                check(caller, scope["method"])
        except Refused as error:
            if not free:
                self._tell(error, scope)
                await self._refuse(error, path_of(scope))(scope, receive, send)
                return
            caller = None
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    def _tell(self, error: Refused, scope: Scope) -> None:
        self._note(error.code)
        log.info("refused", extra={"reason": error.code, "method": scope["method"], "path": scope["path"]})


def caller_of(request: Request) -> Caller:
    """Behind the guard there always is one."""
    return request.state.caller


def check(caller: Caller | None, method: str) -> None:
    """Raises Refused for nobody, and for who only reads where more is asked."""
    if caller is None:
        raise Refused(
            "no_credentials",
            "send an API key as `Authorization: Bearer slipway_…`; `slipway keys create` makes one",
            "Authorization",
        )
    if caller.kind == "service" and method not in _READS:
        raise Refused("read_only", "this token only reads: predictions need an API key", "Authorization")


def path_of(scope: Scope) -> str:
    """Without the prefix that the server was told of, as the routes are written."""
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
