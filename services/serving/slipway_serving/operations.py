"""The routes that predict, as OpenAPI has them: what is sent and answered, in general and of one model."""

from __future__ import annotations

from typing import Any

from . import arrow
from .model import ServedModel
from .model_schemas import prediction_schema, row_schema, rows_schema, sample_rows
from .tensors import tensor_of

VERBS = ("predict", "invocations", "infer")
_GENERIC_ROWS = [{"Coord_X": 1.0, "Coord_Y": 2.0}]
_GENERIC_SCHEMA = {"anyOf": [{"type": "array", "minItems": 1}, {"type": "object"}]}
_GENERIC_INPUTS = [
    {"name": "Coord_X", "type": "double", "required": True},
    {"name": "Coord_Y", "type": "double", "required": True},
]
_TAGS = {"predict": "predict", "invocations": "MLflow scoring protocol", "infer": "Open Inference Protocol"}
_SUMMARIES = {"predict": "Predict", "invocations": "Score", "infer": "Infer"}
_ERRORS = {"predict": "Error", "invocations": "MlflowError", "infer": "InferenceError"}
_ANSWERS = {"predict": "Predictions", "invocations": "ScoringPredictions", "infer": "Inference"}
_REFUSALS = {
    400: "The body cannot be read",
    401: "No key, or one that is not good",
    403: "The key is not for this model",
    404: "No such model or version is served",
    405: "It is asked with POST",
    408: "The body came too slowly",
    409: "Several models and no default",
    413: "Too large or too many rows: send it in parts",
    415: "Another content type or encoding is needed",
    422: "What was sent does not fit the model",
    429: "Too many requests of this caller at once",
    500: "The model failed",
    503: "Too busy, not ready or stopping: try again",
}
_DATATYPE_OF = {"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64"}


def general_paths() -> dict[str, Any]:
    """The paths of any model, with parameters in them."""
    paths: dict[str, Any] = {}
    for verb in ("predict", "invocations"):
        paths[f"/{verb}"] = _general(verb, "with the default model")
        paths[f"/models/{{name}}/{verb}"] = _general(verb, "with one model", "name")
        paths[f"/models/{{name}}/versions/{{version}}/{verb}"] = _general(
            verb, "with one version", "name", "version"
        )
        paths[f"/models/{{name}}/aliases/{{alias}}/{verb}"] = _general(
            verb, "with the version of an alias", "name", "alias"
        )
    paths["/v2/models/{name}/infer"] = _general("infer", "with one model", "name")
    paths["/v2/models/{name}/versions/{version}/infer"] = _general(
        "infer", "with one version", "name", "version"
    )
    return paths


def model_operation(verb: str, model: ServedModel, summary: str, name: str) -> dict[str, Any]:
    """A path of one model. name: what tells the operation from all others."""
    return _operation(
        verb,
        summary,
        f"{verb}_{name}",
        model.name,
        _bodies(verb, model),
        {"application/json": {"schema": _answer_schema(verb, model)}},
    )


def _general(verb: str, which: str, *parameters: str) -> dict[str, Any]:
    operation = _operation(
        verb,
        f"{_SUMMARIES[verb]} {which}",
        "_".join((verb, "any", *parameters)),
        _TAGS[verb],
        _bodies(verb, None),
        {"application/json": {"schema": _ref(_ANSWERS[verb])}},
    )
    operation["parameters"] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in parameters
    ]
    return {"post": operation}


def _operation(
    verb: str, summary: str, name: str, tag: str, content: dict[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    error = {"application/json": {"schema": _ref(_ERRORS[verb])}}
    # MLflow's protocol and the other have no 422: what does not fit is 400 there.
    refusals = {status: text for status, text in _REFUSALS.items() if verb == "predict" or status != 422}
    version = {
        "X-Slipway-Model-Version": {"schema": {"type": "string"}, "description": "The version that answered"}
    }
    ok = {"description": "Predictions", "headers": version, "content": _other_answers(verb, answer)}
    return {
        "tags": [tag],
        "summary": summary,
        "operationId": name,
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": ok,
            **{str(status): {"description": text, "content": error} for status, text in refusals.items()},
        },
    }


def _other_answers(verb: str, answer: dict[str, Any]) -> dict[str, Any]:
    media = "application/octet-stream" if verb == "infer" else arrow.MEDIA
    return {**answer, media: {"schema": {"type": "string", "format": "binary"}}}


def _bodies(verb: str, model: ServedModel | None) -> dict[str, Any]:
    inputs = _GENERIC_INPUTS if model is None else (model.signature or {}).get("inputs")
    rows = (model and model.example_rows) or sample_rows(inputs) or _GENERIC_ROWS
    if verb == "infer":
        return {"application/json": {"schema": _infer_schema(), "example": _infer_example(inputs, rows)}}
    binary = {"schema": {"type": "string", "format": "binary"}}
    if verb == "predict":
        schema = _predict_schema(model, None if model is None else rows_schema(inputs))
        return {"application/json": {"schema": schema, "example": {"inputs": rows}}, arrow.MEDIA: binary}
    return {**_invocation_bodies(rows, None if model is None else row_schema(inputs)), arrow.MEDIA: binary}


def _predict_schema(model: ServedModel | None, rows: dict[str, Any] | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"inputs": rows or _GENERIC_SCHEMA, "params": {"type": "object"}}
    if model is None or model.probabilities:
        properties["probabilities"] = {"type": "boolean", "default": False}
    return {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": properties,
    }


def _invocation_bodies(rows: list, row: dict[str, Any] | None) -> dict[str, Any]:
    examples: dict[str, Any] = {"inputs": {"value": {"inputs": rows}}}
    content: dict[str, Any] = {}
    if rows and all(isinstance(one, dict) for one in rows):
        columns = list(rows[0])
        table = [[one.get(column) for column in columns] for one in rows]
        examples = {
            "dataframe_split": {"value": {"dataframe_split": {"columns": columns, "data": table}}},
            "dataframe_records": {"value": {"dataframe_records": rows}},
            "instances": {"value": {"instances": rows}},
            **examples,
        }
        lines = [",".join(columns), *(",".join("" if v is None else str(v) for v in one) for one in table)]
        content["text/csv"] = {"schema": {"type": "string"}, "example": "\n".join(lines) + "\n"}
    forms = ("dataframe_split", "dataframe_records", "instances", "inputs")
    schema: dict[str, Any] = {"type": "object", "oneOf": [{"required": [form]} for form in forms]}
    schema["properties"] = {"params": {"type": "object"}}
    if row is not None:
        records = {"type": "array", "minItems": 1, "items": {**row, "additionalProperties": True}}
        schema["properties"]["dataframe_records"] = records
        schema["properties"]["dataframe_split"] = {
            "type": "object",
            "required": ["columns", "data"],
            "properties": {
                "columns": {"type": "array", "items": {"enum": list(row["properties"])}, "uniqueItems": True},
                "data": {"type": "array", "minItems": 1, "items": {"type": "array"}},
            },
        }
    return {"application/json": {"schema": schema, "examples": examples}, **content}


def _infer_schema() -> dict[str, Any]:
    parameters = {"type": "object"}
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype"],
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
            "datatype": {"type": "string"},
            "data": {"type": "array"},
            "parameters": parameters,
        },
    }
    output = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "parameters": parameters},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": parameters,
            "inputs": {"type": "array", "minItems": 1, "items": tensor},
            "outputs": {"type": "array", "items": output},
        },
    }


def _infer_example(inputs: list[dict[str, Any]] | None, rows: list) -> dict[str, Any]:
    if all(isinstance(row, dict) for row in rows):
        types = {column.get("name"): column.get("type") for column in inputs or ()}
        tensors = [
            {
                "name": name,
                "shape": [len(rows)],
                "datatype": _DATATYPE_OF.get(str(types.get(name)), "BYTES"),
                "data": [row.get(name) for row in rows],
            }
            for name in rows[0]
        ]
        return {"inputs": tensors}
    one = tensor_of(inputs[0], "input-0") if inputs else {"name": "input-0", "datatype": "FP64"}
    return {
        "inputs": [{"name": one["name"], "datatype": one["datatype"], "shape": _shape_of(rows), "data": rows}]
    }


def _answer_schema(verb: str, model: ServedModel) -> dict[str, Any]:
    if verb == "infer":
        return {
            "allOf": [_ref("Inference")],
            "properties": {"model_name": {"const": model.name}},
        }
    predictions: dict[str, Any] = {"type": "array", "items": prediction_schema(model)}
    properties: dict[str, Any] = {"predictions": predictions}
    if model.probabilities:
        properties["classes"] = {"type": ["array", "null"]}
    required = ["predictions"]
    if verb == "predict":
        properties = {"model": {"const": model.name}, "version": {"type": "string"}, **properties}
        required = ["model", "version", "predictions"]
    return {"type": "object", "required": required, "properties": properties}


def _shape_of(rows: Any) -> list[int]:
    shape = []
    while isinstance(rows, list):
        shape.append(len(rows))
        rows = rows[0] if rows else None
    return shape


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
