"""What MLflow's scoring server and the Open Inference Protocol have besides: health and metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlflow
from fastapi import FastAPI, Request
from fastapi.responses import Response

from . import __version__, documents
from .guard import caller_of
from .model import ServedModel
from .open_inference import PREDICTIONS, output_name
from .openapi import FREE
from .responses import json_response
from .tensors import tensor_of

if TYPE_CHECKING:
    from .api import Parts

EXTENSIONS = ["binary_tensor_data"]
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": documents.InferenceError} for status in (401, 403, 404, 503)
}


def install_protocols(app: FastAPI, parts: Parts) -> None:
    _install_mlflow(app, parts)
    _install_health(app, parts)
    _install_metadata(app, parts)


def _install_mlflow(app: FastAPI, parts: Parts) -> None:
    tag: list[Any] = ["MLflow scoring protocol"]

    @app.get(
        "/ping",
        openapi_extra=FREE,
        tags=tag,
        summary="200 when a model answers, else 404",
        response_class=Response,
        responses={404: {"description": "No model answers yet"}},
    )
    async def ping() -> Response:
        live = any(slot.loaded for slot in parts.shelf.slots().values())
        return Response("\n", 200 if live else 404, media_type="application/json")

    @app.get("/version", tags=tag, summary="MLflow's version", response_class=Response)
    async def version() -> Response:
        return Response(mlflow.__version__, media_type="text/plain")


def _install_health(app: FastAPI, parts: Parts) -> None:
    tag: list[Any] = ["Open Inference Protocol"]

    @app.get(
        "/v2/health/live",
        response_model=documents.Live,
        openapi_extra=FREE,
        tags=tag,
        summary="The process answers",
    )
    async def live() -> Response:
        return json_response({"live": True})

    @app.get(
        "/v2/health/ready",
        response_model=documents.Ready,
        responses={503: {"model": documents.Ready}},
        openapi_extra=FREE,
        tags=tag,
        summary="Whether to send requests here",
    )
    async def ready() -> Response:
        yes = bool(parts.watcher.ready) and not parts.stopping.begun
        return json_response({"ready": yes}, 200 if yes else 503)


def _install_metadata(app: FastAPI, parts: Parts) -> None:
    tag: list[Any] = ["Open Inference Protocol"]

    @app.get("/v2", response_model=documents.ServerMetadata, tags=tag, summary="This server")
    async def server() -> Response:
        return json_response({"name": "slipway-serving", "version": __version__, "extensions": EXTENSIONS})

    def chosen(request: Request, name: str, version: str | None) -> ServedModel:
        caller = caller_of(request)
        caller.require(name)
        return parts.shelf.choose(name, shown=caller.may_use, version=version, caller=caller.name).model

    def versions(name: str) -> list[str]:
        slot = parts.shelf.slot(name)
        return [] if slot is None else sorted({target.version for target in slot.wanted_targets}, key=_number)

    metadata: dict[str, Any] = {
        "response_model": documents.ModelMetadata,
        "responses": _ERRORS,
        "tags": tag,
        "summary": "A model's inputs and outputs",
    }
    readiness: dict[str, Any] = {
        "response_model": documents.ModelReady,
        "responses": _ERRORS,
        "tags": tag,
        "summary": "Whether a model answers",
    }

    @app.get("/v2/models/{name}", **metadata)
    async def model(request: Request, name: str) -> Response:
        return json_response(_metadata(chosen(request, name, None), versions(name)))

    @app.get("/v2/models/{name}/versions/{version}", **metadata)
    async def model_version(request: Request, name: str, version: str) -> Response:
        return json_response(_metadata(chosen(request, name, version), versions(name)))

    @app.get("/v2/models/{name}/ready", **readiness)
    async def model_ready(request: Request, name: str) -> Response:
        return json_response({"name": chosen(request, name, None).name, "ready": True})

    @app.get("/v2/models/{name}/versions/{version}/ready", **readiness)
    async def version_ready(request: Request, name: str, version: str) -> Response:
        return json_response({"name": chosen(request, name, version).name, "ready": True})


def _metadata(model: ServedModel, versions: list[str]) -> dict[str, Any]:
    signature = model.signature or {}
    return {
        "name": model.name,
        "versions": versions,
        "platform": f"mlflow_{model.flavor}",
        "inputs": [tensor_of(spec, f"input-{i}") for i, spec in enumerate(signature.get("inputs") or [])],
        "outputs": [
            _as_answered(tensor_of(spec, output_name(model) if i == 0 else f"{PREDICTIONS}-{i}"))
            for i, spec in enumerate(signature.get("outputs") or [])
        ],
    }


def _as_answered(tensor: dict[str, Any]) -> dict[str, Any]:
    """Numbers with a point are always answered in 64 bits."""
    return {**tensor, "datatype": "FP64"} if tensor["datatype"] in ("FP16", "FP32") else tensor


def _number(version: str) -> tuple[int, str]:
    return len(version), version
