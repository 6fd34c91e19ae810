"""The HTTP edge: routes, limits and status codes. What a prediction is, others know; this only carries it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from . import documents
from .answers import Answer, answer_invocation, answer_predict
from .describe import describe_model, describe_readiness
from .errors import Refused
from .guard import Doors, Guard, caller_of
from .identity import Caller
from .key_feed import KeyFeed
from .metrics import Metrics
from .model import ServedModel
from .observations import Exchange, Observations
from .openapi import FREE, install_docs, invocation_body, predict_body
from .pages import install_pages
from .runner import Runner
from .shelf import Shelf
from .visitors import Visitors
from .watcher import Watcher

# Whatever is not named here is a request that was read but cannot be answered: 422.
STATUS = {
    "not_json": 400,
    "not_csv": 400,
    "not_an_object": 400,
    "bad_request": 400,
    "no_credentials": 401,
    "malformed_key": 401,
    "foreign_key": 401,
    "expired_key": 401,
    "revoked_key": 401,
    "not_for_this_model": 403,
    "read_only": 403,
    "unknown_model": 404,
    "no_model": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "ambiguous_model": 409,
    "body_too_large": 413,
    "too_many_rows": 413,
    "unsupported_media_type": 415,
    "model_failed": 500,
    "internal_error": 500,
    "model_not_ready": 503,
    "keys_unknown": 503,
    "overloaded": 503,
}
_REFUSALS = (400, 401, 403, 404, 413, 415, 422, 500, 503)
_HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}
Work = Callable[[ServedModel, bytes, str], Answer]


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
    default_model: str | None = None
    max_body_bytes: int = 16 * 1024 * 1024


def create_app(parts: Parts, lifespan: Any = None) -> FastAPI:
    """The application, for any ASGI server."""
    app = FastAPI(
        title="Slipway serving",
        description="Predictions from the models that are in Production.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=lifespan,
    )
    _add_errors(app)
    install_pages(app, parts)
    _add_predictions(app, parts)
    _add_state(app, parts)
    install_docs(app, parts.shelf)
    app.add_middleware(
        Guard,
        doors=parts.doors,
        refuse=refusal,
        note=parts.observations.refused,
    )
    return app


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


def refusal(error: Refused) -> Response:
    """The one place where an error becomes HTTP."""
    status = STATUS.get(error.code, 422)
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="slipway"'
    detail = {"code": error.code, "message": error.message, "field": error.field}
    return _json({"error": detail}, status, headers)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return refusal(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = _HTTP_CODES.get(error.status_code, "bad_request")
        message = (
            f"{request.method} {request.url.path}: {str(error.detail).lower()}; see /docs for what there is"
        )
        detail = {"code": code, "message": message, "field": None}
        return _json({"error": detail}, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        return refusal(Refused("invalid_input", f"{field}: {first['msg']}", field))

    @app.exception_handler(Exception)
    async def crashed(request: Request, error: Exception) -> Response:
        return refusal(Refused("internal_error", "the server failed; its log has the reason"))


def _add_predictions(app: FastAPI, parts: Parts) -> None:
    responses: dict[int | str, dict[str, Any]] = {status: {"model": documents.Error} for status in _REFUSALS}
    responses[409] = {"model": documents.Error, "description": "Several models and no default"}
    predict = {
        "response_model": documents.Predictions,
        "responses": responses,
        "openapi_extra": {"requestBody": predict_body()},
        "tags": ["predict"],
    }
    score = {
        "response_model": documents.ScoringPredictions,
        "responses": responses,
        "openapi_extra": {"requestBody": invocation_body()},
        "tags": ["MLflow scoring protocol"],
    }

    @app.post("/predict", summary="Predict with the default model", **predict)
    async def predict_default(request: Request) -> Response:
        return await _predict(parts, request, None, "predict", answer_predict)

    @app.post("/models/{name}/predict", summary="Predict with one model", **predict)
    async def predict_named(request: Request, name: str) -> Response:
        return await _predict(parts, request, name, "predict", answer_predict)

    @app.post("/invocations", summary="Score with the default model", **score)
    async def score_default(request: Request) -> Response:
        return await _predict(parts, request, None, "invocations", answer_invocation)

    @app.post("/models/{name}/invocations", summary="Score with one model", **score)
    async def score_named(request: Request, name: str) -> Response:
        return await _predict(parts, request, name, "invocations", answer_invocation)


async def _predict(parts: Parts, request: Request, name: str | None, route: str, work: Work) -> Response:
    model: ServedModel | None = None
    outcome, status, rows = "internal_error", 500, 0
    started = time.perf_counter()
    caller = caller_of(request)
    try:
        if name is not None:
            caller.require(name)
        body = await read_body(request, parts.max_body_bytes)
        started = time.perf_counter()
        # Looked up only now: a slow sender gets the version that is live when the request is there.
        model = _find(parts, name, caller)
        answer = await parts.runner.run(work, model, body, request.headers.get("content-type", ""))
        outcome = "ok"
        status, rows = 200, answer.rows
        return Response(answer.body, media_type="application/json")
    except Refused as error:
        outcome, status = error.code, STATUS.get(error.code, 422)
        return refusal(error)
    except ClientDisconnect:
        outcome, status = "client_left", 400
        return Response(status_code=400)
    finally:
        seconds = time.perf_counter() - started
        parts.observations.note(
            Exchange(model, route, "production", outcome, status, rows, seconds, 0.0, caller)
        )


def _find(parts: Parts, name: str | None, caller: Caller) -> ServedModel:
    """The model that was asked for, or the default one; raises Refused, also for a key that is not for it."""
    if name is not None:
        return parts.shelf.model(name, caller.may_use)
    model = parts.shelf.default_model(parts.default_model, caller.may_use)
    caller.require(model.name)
    return model


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, of at most `limit` bytes, whether or not its length was announced; raises Refused."""
    too_large = Refused("body_too_large", f"the body is larger than {limit} bytes: send fewer rows at a time")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refused(
            "unsupported_media_type", f"send the body uncompressed, not {encoding[:50]}", "Content-Encoding"
        )
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


def _add_state(app: FastAPI, parts: Parts) -> None:
    @app.get("/models", response_model=documents.Models, tags=["state"], summary="The models that are live")
    async def models(request: Request) -> Response:
        slots = parts.shelf.slots(caller_of(request).may_use).items()
        return _json({"models": [describe_model(name, slot) for name, slot in slots if slot.live]})

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
        return _json(describe_model(name, slot))

    @app.get(
        "/health",
        response_model=documents.Health,
        openapi_extra=FREE,
        tags=["state"],
        summary="The process answers",
    )
    async def health() -> Response:
        return _json({"status": "ok"})

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
            parts.watcher, parts.shelf, parts.visitors, parts.key_feed, request.state.caller
        )
        return _json(state, 200 if state["status"] == "ready" else 503)

    @app.get(
        "/visitors",
        response_model=documents.VisitorCounts,
        tags=["state"],
        summary="How often each version answered, kept across restarts",
    )
    async def visitors(request: Request) -> Response:
        return _json(parts.visitors.report_for(caller_of(request)))

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(parts.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
