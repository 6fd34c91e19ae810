"""JSON schemas and samples of what a model takes and gives, from its MLflow signature."""

from __future__ import annotations

from typing import Any

from .model import ServedModel

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


def rows_schema(inputs: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The JSON schema of /predict's `inputs` for a signature with named plain columns; None for any other."""
    row = row_schema(inputs)
    return None if row is None else {"anyOf": [{"type": "array", "minItems": 1, "items": row}, row]}


def row_schema(inputs: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The same, of one row."""
    if not inputs or not all(column.get("name") and column.get("type") in _TYPES for column in inputs):
        return None
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [column["name"] for column in inputs if column.get("required", True)],
        "properties": {column["name"]: _column_schema(column) for column in inputs},
    }


def prediction_schema(model: ServedModel) -> dict[str, Any]:
    """One row's; of a model with probabilities either a label or, where they are asked for, a list."""
    outputs = (model.signature or {}).get("outputs") or []
    if len(outputs) != 1:
        return {"type": "object"} if outputs else {}
    (output,) = outputs
    if output.get("type") != "tensor":
        value = _TYPES.get(str(output.get("type")))
        # One named output comes as a value, or as an object where the model answers with a table.
        either: list[dict[str, Any]] = (
            [{"type": "object"}, {**value, "type": [value["type"], "null"]}] if value else []
        )
    else:
        either = [_tensor_schema(output["tensor-spec"])]
    if model.probabilities and either:
        either.append({"type": "array", "items": {"type": ["number", "null"]}})
    return {"anyOf": either} if either and {} not in either else {}


def _tensor_schema(spec: dict[str, Any]) -> dict[str, Any]:
    kind = str(spec["dtype"])
    if kind == "bool":
        value: dict[str, Any] = {"type": "boolean"}
    elif kind.startswith(("int", "uint")):
        value = {"type": "integer"}
    elif kind.startswith("float"):
        value = {"type": ["number", "null"]}
    elif kind.startswith("str"):
        value = {"type": "string"}
    else:
        return {}
    for _ in spec["shape"][1:]:
        value = {"type": "array", "items": value}
    return value


def _column_schema(column: dict[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = dict(_TYPES[column["type"]])
    if not column.get("required", True) and schema["type"] not in ("integer", "boolean"):
        schema["type"] = [schema["type"], "null"]
    return schema


def sample_rows(inputs: list[dict[str, Any]] | None) -> list | None:
    """A row of the right types for a model that brought no input example."""
    samples = {"boolean": True, "string": "text", "binary": "AA==", "datetime": "2026-01-31T12:00:00"}
    if row_schema(inputs) is not None:
        return [{column["name"]: samples.get(column["type"], 1) for column in inputs or ()}]
    if inputs and len(inputs) == 1 and inputs[0].get("type") == "tensor":
        row: Any = 1.0
        for size in reversed(inputs[0]["tensor-spec"]["shape"][1:]):
            row = [row] * max(size, 1)
        return [row]
    return None
