"""OpenAPI with the live models' own paths, schemas and examples, and the page that shows it without a CDN."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic.json_schema import models_json_schema

from . import documents
from .guard import caller_of
from .model import ServedModel
from .operations import VERBS, general_paths, model_operation
from .registry import ALIAS
from .responses import json_response
from .shelf import Shelf
from .slots import Slot

# Addresses are relative, so the page works under whatever prefix a gateway puts before it; nothing is inline.
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Slipway serving</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="docs/assets/favicon.png">
<link rel="stylesheet" href="docs/assets/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script><script src="docs/start.js"></script></body></html>
"""
_START = """window.ui = SwaggerUIBundle({url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], layout: "BaseLayout"});
"""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
)


_KEY = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "slipway_…",
    "description": "An application's API key: `slipway keys create my-app --models red-blue` in a notebook's "
    "terminal makes one. Whoever is logged in at the front page needs none here.",
}
FREE: dict[str, Any] = {"security": []}
"""For routes that anybody may ask."""


def install_docs(app: FastAPI, shelf: Shelf) -> None:
    """Serve /docs and let /openapi.json tell of the models that are live when it is asked, and of none that
    the caller may not use.
    """

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        document = _general(app)
        if root := request.scope.get("root_path"):
            document["servers"] = [{"url": root}]
        for name, slot in shelf.slots(caller_of(request).may_use).items():
            _add_model(document, name, slot)
        return json_response(document)

    assets = Path(str(files("fastapi_offline"))) / "static"
    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    @app.get("/docs/start.js", include_in_schema=False)
    async def docs_start() -> Response:
        return Response(_START, media_type="text/javascript")


def _general(app: FastAPI) -> dict[str, Any]:
    """What holds whatever is live."""
    document = copy.deepcopy(app.openapi())
    shown: Any = [
        (documents.Error, "serialization"),
        (documents.MlflowError, "serialization"),
        (documents.InferenceError, "serialization"),
        (documents.Predictions, "serialization"),
        (documents.ScoringPredictions, "serialization"),
        (documents.Inference, "serialization"),
    ]
    _, schemas = models_json_schema(shown, ref_template="#/components/schemas/{model}")
    document["components"]["schemas"].update(schemas["$defs"])
    document["components"]["securitySchemes"] = {"key": _KEY}
    # Either, or nothing for people: their browser is logged in at the gateway.
    document["security"] = [{"key": []}, {}]
    document["paths"].update(general_paths())
    return document


def _add_model(document: dict[str, Any], name: str, slot: Slot) -> None:
    """A path for each way to ask for what is loaded."""
    if slot.live is not None:
        model = slot.live.model
        summary = f"{name}, now version {model.version}"
        _add_paths(document, f"/models/{name}", VERBS[:2], model, summary)
        _add_paths(document, f"/v2/models/{name}", VERBS[2:], model, summary)
        _add_paths(document, f"/models/{name}/aliases/{ALIAS}", VERBS[:2], model, summary)
    placed = {alias: named.placed for alias, named in slot.others.items() if named.placed is not None}
    for alias, one in sorted(placed.items()):
        summary = f"{name}, its {alias}, now version {one.model.version}"
        _add_paths(document, f"/models/{name}/aliases/{alias}", VERBS[:2], one.model, summary)
    answering = [slot.live, *placed.values()]
    for version, model in sorted({one.model.version: one.model for one in answering if one}.items()):
        summary = f"{name}, version {version}"
        _add_paths(document, f"/models/{name}/versions/{version}", VERBS[:2], model, summary)
        _add_paths(document, f"/v2/models/{name}/versions/{version}", VERBS[2:], model, summary)


def _add_paths(
    document: dict[str, Any], prefix: str, verbs: Sequence[str], model: ServedModel, summary: str
) -> None:
    for verb in verbs:
        unique = prefix.removeprefix("/v2").removeprefix("/models/").replace("/", "_")
        operation = model_operation(verb, model, summary, unique)
        document["paths"][quote(f"{prefix}/{verb}", safe="/")] = {"post": operation}
