"""The HTTP edge: the application, its errors, the routes that tell of its state. Predictions are in `hot`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from . import documents, refusals
from .describe import describe_model, describe_readiness
from .errors import Refused
from .guard import Doors, Guard, caller_of, path_of
from .hot import Hot
from .key_feed import KeyFeed
from .limits import Limits
from .metrics import Metrics
from .observations import Observations
from .openapi import FREE, install_docs
from .pages import install_pages
from .protocol_routes import install_protocols
from .responses import json_response
from .runner import Runner
from .shadow import Shadows
from .shelf import Shelf
from .stopping import Stopping
from .visitors import Visitors
from .watcher import Watcher

_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


@dataclass(frozen=True)
class Parts:
    """What the edge is given to work with."""

    shelf: Shelf
    watcher: Watcher
    runner: Runner
    visitors: Visitors
    metrics: Metrics
    observations: Observations
    doors: Doors
    key_feed: KeyFeed
    shadows: Shadows
    default_model: str | None = None
    limits: Limits = field(default_factory=Limits)
    stopping: Stopping = field(default_factory=Stopping)


class Application(FastAPI):
    """FastAPI's, with something in front of all its layers."""

    def put_in_front(self, make: Callable[[ASGIApp], ASGIApp]) -> None:
        self._front = make(super().__call__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._front(scope, receive, send)


def create_app(parts: Parts, lifespan: Any = None) -> Application:
    """The application, for any ASGI server."""
    app = Application(
        title="Slipway serving",
        description="Predictions from the models that are in Production.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    _add_errors(app)
    install_pages(app, parts)
    _add_state(app, parts)
    install_protocols(app, parts)
    install_docs(app, parts.shelf)
    app.add_middleware(
        Guard,
        doors=parts.doors,
        refuse=refusal,
        note=parts.observations.refused,
    )
    app.put_in_front(lambda rest: Hot(rest, parts))
    return app


def refusal(error: Refused, path: str) -> Response:
    """The error as the protocol of the path has it."""
    told = refusals.by_path(path)(error)
    return Response(told.body, told.status, {name.decode(): value.decode() for name, value in told.headers})


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return refusal(error, path_of(request.scope))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = _HTTP_CODES.get(error.status_code, "bad_request")
        message = (
            f"{request.method} {request.url.path}: {str(error.detail).lower()}; see /docs for what there is"
        )
        response = refusal(Refused(code, message), path_of(request.scope))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        return refusal(Refused("invalid_input", f"{field}: {first['msg']}", field), path_of(request.scope))

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        return refusal(
            Refused("internal_error", "the server failed; its log has the reason"), path_of(request.scope)
        )


def _add_state(app: FastAPI, parts: Parts) -> None:
    @app.get("/models", response_model=documents.Models, tags=["state"], summary="The models that are live")
    async def models(request: Request) -> Response:
        slots, stuck = parts.shelf.slots(caller_of(request).may_use).items(), parts.runner.stuck()
        return json_response(
            {"models": [describe_model(name, slot, stuck) for name, slot in slots if slot.loaded]}
        )

    @app.get(
        "/models/{name}",
        response_model=documents.Model,
        responses={status: {"model": documents.Error} for status in (401, 403, 404, 422)},
        tags=["state"],
        summary="One model, and why a wanted version is not live",
    )
    async def one_model(request: Request, name: str) -> Response:
        caller = caller_of(request)
        caller.require(name)
        slot = parts.shelf.slot(name)
        if slot is None:
            parts.shelf.model(name, caller.may_use)  # raises, and says what is served
        return json_response(describe_model(name, slot, parts.runner.stuck()))

    @app.get(
        "/health",
        response_model=documents.Health,
        openapi_extra=FREE,
        tags=["state"],
        summary="The process answers",
    )
    async def health() -> Response:
        return json_response({"status": "ok"})

    @app.get(
        "/ready",
        response_model=documents.Readiness,
        responses={503: {"model": documents.Readiness}},
        openapi_extra=FREE,
        tags=["state"],
        summary="Whether to send requests here, with the state of all it depends on",
    )
    async def ready(request: Request) -> Response:
        state = describe_readiness(
            parts.watcher,
            parts.shelf,
            parts.visitors,
            parts.key_feed,
            request.state.caller,
            parts.runner.stuck(),
        )
        if parts.stopping.begun:
            state["status"] = "stopping"
        return json_response(state, 200 if state["status"] == "ready" else 503)

    @app.get(
        "/visitors",
        response_model=documents.VisitorCounts,
        tags=["state"],
        summary="How often each version answered, kept across restarts",
    )
    async def visitors(request: Request) -> Response:
        return json_response(parts.visitors.report_for(caller_of(request)))

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
