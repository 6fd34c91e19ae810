"""What every request passes before anything of MLflow's sees it, whichever of MLflow's two halves (Flask,
FastAPI) answers it: who is it, and is this something that nobody may do here.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from anyio import to_thread

from . import identity, routes
from .identity import Caller, Recognition, Unknown
from .mirror import Mirror
from .refusals import as_body, sentence

logger = logging.getLogger(__name__)

PLAIN_REFUSAL = b"Permission denied"
"""The whole of MLflow's own."""


class Gate:
    """ASGI middleware around MLflow's application."""

    def __init__(self, application: Any, shortcut: Any, recognition: Recognition, mirror: Mirror) -> None:
        """`shortcut` leads to the half that is Flask's alone."""
        self._application, self._shortcut = application, shortcut
        self._recognition, self._mirror = recognition, mirror

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        if routes.is_open(path):
            await self._application(scope, receive, send)
            return
        try:
            caller = self._caller(path, scope["headers"])
        except Unknown as error:
            await answer(send, 401, "UNAUTHENTICATED", f"MLflow does not know who this is: {error}")
            return
        if closed := routes.why_closed(method, path, caller):
            await answer(send, 403, "PERMISSION_DENIED", closed)
            return
        if self._mirror.is_stale(caller):
            try:
                await to_thread.run_sync(self._mirror.bring_up_to_date, caller)
            except Exception:
                logger.exception("what MLflow knows of %s cannot be brought up to date", caller.name)
                await answer(send, 503, "TEMPORARILY_UNAVAILABLE", "MLflow's permissions cannot be read now")
                return
        token = identity.current.set(caller)
        application = self._shortcut if routes.is_flasks(path) else self._application
        try:
            await application(scope, receive, Explaining(send, caller, method))
        finally:
            identity.current.reset(token)

    def _caller(self, path: str, headers: list[tuple[bytes, bytes]]) -> Caller:
        # No route of the gateway leads here, and whoever collects metrics has no account.
        return identity.THE_READER if path == routes.METRICS else self._recognition.caller(headers)


class Explaining:
    """Passes an answer on; MLflow's bare refusal becomes one that names what is missing."""

    def __init__(self, send: Any, caller: Caller, method: str) -> None:
        self._send, self._caller, self._method = send, caller, method
        self._held: dict | None = None
        self._replaced = False

    async def __call__(self, message: dict) -> None:
        if message["type"] == "http.response.start" and message["status"] == 403:
            self._held = message
        elif self._held is not None and message.get("body") == PLAIN_REFUSAL:
            self._held, self._replaced = None, True
            await answer(self._send, 403, "PERMISSION_DENIED", sentence(self._caller.name, self._method))
        elif not self._replaced:
            if self._held is not None:
                held, self._held = self._held, None
                await self._send(held)
            await self._send(message)


async def answer(send: Any, status: int, code: str, text: str) -> None:
    """An error in the form of MLflow's own, which its clients show."""
    body = json.dumps(as_body(code, text)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
