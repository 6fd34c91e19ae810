"""The routes that predict, as plain ASGI in front of everything else: a cheap prediction runs from the
request's head to its answer without a thread, a switch of tasks or a framework's layers.

They let nobody in either whom the guard would not, and they are in /openapi.json like all the others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from . import refusals
from .answers import Answer, Form, Request, answer_invocation, answer_predict
from .bodies import GZIP_FROM, Left, encoding_of, gunzip, gzip, read_body, takes_gzip
from .errors import Refused
from .guard import check, path_of
from .identity import Caller
from .observations import Exchange
from .open_inference import answer_infer
from .refusals import Headers, Told

if TYPE_CHECKING:
    from .api import Parts
    from .slots import Choice

log = logging.getLogger(__name__)

_REMEMBERED = 4096
_GONE = Told(400, [(b"content-length", b"0")], b"")


@dataclass(frozen=True, slots=True)
class Protocol:
    """name: as the metrics have it; verb: the last part of its paths."""

    name: str
    verb: str
    form: Form
    refuse: Callable[[Refused], Told]


PREDICT = Protocol("predict", "predict", answer_predict, refusals.own)
INVOCATIONS = Protocol("invocations", "invocations", answer_invocation, refusals.mlflow)
V2 = Protocol("v2", "infer", answer_infer, refusals.open_inference)
_OWN = {one.verb: one for one in (PREDICT, INVOCATIONS)}


@dataclass(frozen=True, slots=True)
class Route:
    protocol: Protocol
    name: str | None = None
    version: str | None = None
    alias: str | None = None


def route_of(path: str) -> Route | None:
    """What a path asks for; None where it is not for predictions."""
    match path.split("/")[1:]:
        case [verb] if verb in _OWN:
            return Route(_OWN[verb])
        case ["models", name, verb] if name and verb in _OWN:
            return Route(_OWN[verb], name)
        case ["models", name, "versions", version, verb] if name and version and verb in _OWN:
            return Route(_OWN[verb], name, version=version)
        case ["models", name, "aliases", alias, verb] if name and alias and verb in _OWN:
            return Route(_OWN[verb], name, alias=alias)
        case ["v2", "models", name, "infer"] if name:
            return Route(V2, name)
        case ["v2", "models", name, "versions", version, "infer"] if name and version:
            return Route(V2, name, version=version)
    return None


class Hot:
    """ASGI middleware: answers what is for predictions, passes the rest on."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app, self._parts = app, parts
        self._routes: dict[str, Route | None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"]
            try:
                route = self._routes[path]
            except KeyError:
                route = self._look_up(path, scope)
            if route is not None:
                await self._serve(route, scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _look_up(self, path: str, scope: Scope) -> Route | None:
        if len(self._routes) >= _REMEMBERED:
            self._routes.clear()
        route = self._routes[path] = route_of(path_of(scope))
        return route

    async def _serve(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            caller = self._parts.doors.caller(headers)
            check(caller, scope["method"])
        except Refused as error:
            self._parts.observations.refused(error.code)
            await _send(send, route.protocol.refuse(error))
            return
        if scope["method"] != "POST":
            scope.setdefault("state", {})["caller"] = caller
            message = f"{scope['path']} is asked with POST; see /docs for what there is"
            refusal = route.protocol.refuse(Refused("method_not_allowed", message))
            refusal.headers.append((b"allow", b"POST"))
            await _send(send, refusal)
            return
        await self._predict(route, headers, caller, receive, send)

    async def _predict(
        self, route: Route, headers: dict[bytes, bytes], caller: Caller, receive: Receive, send: Send
    ) -> None:
        parts = self._parts
        choice: Choice | None = None
        answer: Answer | None = None
        outcome, who = "internal_error", None
        started = time.perf_counter()
        try:
            if route.name is not None:
                caller.require(route.name)
            who = parts.limits.enter(caller)
            body = await read_body(receive, headers, parts.limits)
            started = time.perf_counter()
            if b"content-encoding" in headers and encoding_of(headers):
                body = await parts.runner.aside(gunzip, body, parts.limits.max_body_bytes)
            # Chosen only now: a slow sender gets the version that is live when the request is there.
            choice = self._choose(route, headers, caller)
            answer = await parts.runner.answer(route.protocol.form, choice.model, _request(headers, body))
            outcome, told = "ok", await self._told(choice, answer, headers)
        except Refused as error:
            outcome, told = error.code, route.protocol.refuse(error)
        except Left:
            outcome, told = "client_left", _GONE
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception:
            log.exception("a request failed")
            told = route.protocol.refuse(
                Refused("internal_error", "the server failed; its log has the reason")
            )
        finally:
            if who is not None:
                parts.limits.leave(who)
            status = 500 if outcome in ("cancelled", "internal_error") else told.status
            parts.observations.note(
                _exchange(route, choice, outcome, status, answer, time.perf_counter() - started, caller)
            )
        await _send(send, told)
        if choice is not None and choice.shadow is not None and answer is not None:
            asked: Any = answer.question
            parts.shadows.copy(choice, asked.data, asked.params, answer.predictions, asked.probabilities)

    def _choose(self, route: Route, headers: dict[bytes, bytes], caller: Caller) -> Choice:
        choice = self._parts.shelf.choose(
            route.name,
            default=self._parts.default_model,
            shown=caller.may_use,
            version=route.version,
            alias=route.alias,
            sticky=headers.get(b"x-slipway-sticky"),
            caller=caller.name,
        )
        if route.name is None:
            caller.require(choice.model.name)
        return choice

    async def _told(self, choice: Choice, answer: Answer, headers: dict[bytes, bytes]) -> Told:
        body = answer.body
        out: Headers = [
            (b"content-type", answer.media),
            (b"x-slipway-model-version", choice.model.version.encode()),
            *answer.headers,
        ]
        if len(body) >= GZIP_FROM:
            out.append((b"vary", b"accept-encoding"))
            if takes_gzip(headers.get(b"accept-encoding", b"")):
                body = await self._parts.runner.aside(gzip, body)
                out.append((b"content-encoding", b"gzip"))
        out.append((b"content-length", b"%d" % len(body)))
        return Told(200, out, body)


def _request(headers: dict[bytes, bytes], body: bytes) -> Request:
    return Request(
        body,
        headers.get(b"content-type", b"").decode("latin-1"),
        headers.get(b"accept", b""),
        headers.get(b"inference-header-content-length"),
    )


def _exchange(
    route: Route,
    choice: Choice | None,
    outcome: str,
    status: int,
    answer: Answer | None,
    seconds: float,
    caller: Caller,
) -> Exchange:
    model, by = (None, "production") if choice is None else (choice.model, choice.by)
    if answer is None or outcome != "ok":
        return Exchange(model, route.protocol.name, by, outcome, status, 0, seconds, 0.0, caller)
    question: Any = answer.question
    return Exchange(
        model,
        route.protocol.name,
        by,
        outcome,
        status,
        answer.rows,
        seconds,
        answer.queued,
        caller,
        question.data,
        answer.predictions,
    )


async def _send(send: Send, told: Told) -> None:
    await send({"type": "http.response.start", "status": told.status, "headers": told.headers})
    await send({"type": "http.response.body", "body": told.body})
