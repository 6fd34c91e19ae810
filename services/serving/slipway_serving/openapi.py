"""OpenAPI with the live models' own paths, schemas and examples, and the page that shows it without a CDN."""

from __future__ import annotations

import copy
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles

from .guard import caller_of
from .shelf import Shelf, Slot

_TYPES: dict[str, dict[str, str]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32"},
    "long": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "binary": {"type": "string", "contentEncoding": "base64"},
    "datetime": {"type": "string", "format": "date-time"},
}
_GENERIC_ROWS = [{"Coord_X": 1.0, "Coord_Y": 2.0}]
_GENERIC_SCHEMA = {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]}
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


def predict_body(schema: dict[str, Any] | None = None, rows: Any = None) -> dict[str, Any]:
    """The requestBody of a /predict route."""
    return _body(
        {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["inputs"],
                    "additionalProperties": False,
                    "properties": {"inputs": schema or _GENERIC_SCHEMA, "params": {"type": "object"}},
                },
                "example": {"inputs": _GENERIC_ROWS if rows is None else rows},
            }
        }
    )


def invocation_body(rows: Any = None) -> dict[str, Any]:
    """The requestBody of an /invocations route: MLflow's scoring protocol."""
    rows = _GENERIC_ROWS if rows is None else rows
    examples: dict[str, Any] = {"inputs": {"value": {"inputs": rows}}}
    content: dict[str, Any] = {}
    if rows and all(isinstance(row, dict) for row in rows):
        columns = list(rows[0])
        table = [[row.get(column) for column in columns] for row in rows]
        examples = {
            "dataframe_split": {"value": {"dataframe_split": {"columns": columns, "data": table}}},
            "dataframe_records": {"value": {"dataframe_records": rows}},
            "instances": {"value": {"instances": rows}},
            **examples,
        }
        lines = [",".join(columns), *(",".join("" if v is None else str(v) for v in row) for row in table)]
        content["text/csv"] = {"schema": {"type": "string"}, "example": "\n".join(lines) + "\n"}
    forms = ("dataframe_split", "dataframe_records", "instances", "inputs")
    schema = {"type": "object", "oneOf": [{"required": [form]} for form in forms]}
    return _body({"application/json": {"schema": schema, "examples": examples}, **content})


def install_docs(app: FastAPI, shelf: Shelf) -> None:
    """Serve /docs and let /openapi.json tell of the models that are live when it is asked, and of none that
    the caller may not use.
    """

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> Response:
        document = copy.deepcopy(app.openapi())
        document["components"]["securitySchemes"] = {"key": _KEY}
        # Either, or nothing for people: their browser is logged in at the gateway.
        document["security"] = [{"key": []}, {}]
        if root := request.scope.get("root_path"):
            document["servers"] = [{"url": root}]
        for name, slot in shelf.slots(caller_of(request).may_use).items():
            _add_model(document, name, slot)
        return Response(orjson.dumps(document), media_type="application/json")

    assets = Path(str(files("fastapi_offline"))) / "static"
    app.mount("/docs/assets", StaticFiles(directory=assets), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})

    @app.get("/docs/start.js", include_in_schema=False)
    async def docs_start() -> Response:
        return Response(_START, media_type="text/javascript")


def _add_model(document: dict[str, Any], name: str, slot: Slot) -> None:
    if slot.live is None:
        return
    model = slot.live.model
    inputs = (model.signature or {}).get("inputs")
    bodies = {
        "predict": predict_body(rows_schema(inputs), model.example_rows or _sample(inputs)),
        "invocations": invocation_body(model.example_rows or _sample(inputs)),
    }
    for route, body in bodies.items():
        operation = copy.deepcopy(document["paths"][f"/models/{{name}}/{route}"]["post"])
        operation.pop("parameters", None)
        operation.update(
            tags=[name],
            summary=f"{name}, now version {model.version}",
            operationId=f"{route}_{name}",
            requestBody=body,
        )
        document["paths"][f"/models/{name}/{route}"] = {"post": operation}


def rows_schema(inputs: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The JSON schema of /predict's `inputs` for a signature with named plain columns; None for any other."""
    if not inputs or not all(column.get("name") and column.get("type") in _TYPES for column in inputs):
        return None
    row = {
        "type": "object",
        "additionalProperties": False,
        "required": [column["name"] for column in inputs if column.get("required", True)],
        "properties": {column["name"]: _column_schema(column) for column in inputs},
    }
    return {"anyOf": [{"type": "array", "minItems": 1, "items": row}, row]}


def _column_schema(column: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_TYPES[column["type"]])
    if not column.get("required", True) and schema["type"] not in ("integer", "boolean"):
        schema["type"] = [schema["type"], "null"]
    return schema


def _sample(inputs: list[dict[str, Any]] | None) -> list | None:
    """A row of the right types for a model that brought no input example."""
    samples = {"boolean": True, "string": "text", "binary": "AA==", "datetime": "2026-01-31T12:00:00"}
    if rows_schema(inputs) is None or inputs is None:
        return None
    return [{column["name"]: samples.get(column["type"], 1) for column in inputs}]


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": content}
