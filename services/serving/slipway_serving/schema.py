"""A model's MLflow signature, compiled once into checks of what callers send. Knows neither HTTP nor models.

Three kinds of input: columns of plain types (checked value by value here, so that the answer can name row and
column), everything else a signature can say (tensors, nested types: MLflow checks it), and models without a
signature (nothing is known, nothing is checked but size).
"""

from __future__ import annotations

from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema
from mlflow.types.schema import DataType, ParamSchema

from .column_inputs import ColumnInputs
from .columns import CONVERTERS
from .errors import Refused
from .inputs import Inputs, RawInputs, plain


def compile_inputs(signature: ModelSignature | None, max_rows: int) -> Inputs:
    """The checks for a model's signature."""
    schema = signature.inputs if signature is not None else None
    if signature is not None and signature._is_signature_from_type_hint:
        return RawInputs(schema, max_rows)
    if schema is None or schema.is_tensor_spec() or not schema.inputs:
        return Inputs(schema, max_rows)
    if all(isinstance(spec.type, DataType) and spec.type in CONVERTERS for spec in schema.inputs):
        return ColumnInputs(schema, max_rows)
    return Inputs(schema, max_rows)


def check_params(params: Any, schema: ParamSchema | None, strict: bool) -> dict[str, Any] | None:
    """`params` against the signature's; strict: names it does not have are an error; raises Refused."""
    if params is None:
        return None
    if not isinstance(params, dict):
        raise Refused("wrong_type", "params must be an object of names and values", "params")
    known = [spec.name for spec in schema.params] if schema else []
    if strict and (unknown := [name for name in params if name not in known]):
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise Refused(
            "unknown_param", f"the model has no parameter {unknown[0]!r}; {takes}", f"params.{unknown[0]}"
        )
    known_only = {name: value for name, value in params.items() if name in known}
    try:
        _enforce_params_schema(dict(known_only), schema)
    except MlflowException as error:
        raise Refused("wrong_type", plain(error), "params") from None
    return known_only


def jsonable_signature(signature: ModelSignature | None) -> dict[str, Any] | None:
    """The signature as JSON objects: {"inputs": [...], "outputs": [...], "params": [...]}."""
    if signature is None:
        return None
    parts = {"inputs": signature.inputs, "outputs": signature.outputs, "params": signature.params}
    return {name: part.to_dict() if part is not None else None for name, part in parts.items()}
