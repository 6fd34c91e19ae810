"""The Open Inference Protocol's way of asking for predictions: named tensors in and out, as JSON or, by its
extension for binary data, as bytes after the JSON.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .answers import Answer, Form, Request, dumps, rows_of
from .column_inputs import ColumnInputs
from .errors import Refused
from .inputs import Inputs, RawInputs
from .model import ServedModel
from .scoring import Question, has_param, parse_json
from .tensors import DATATYPES, Tensor, from_bytes, from_json, of_predictions, to_bytes

PREDICTIONS, CLASSES = "predictions", "classes"
_BINARY = b"application/octet-stream"
_DEEPEST = 32


@dataclass(slots=True)
class Reply:
    """What the answer is to be like. outputs: wanted ones and whether as bytes; None for all there are."""

    id: str | None = None
    outputs: dict[str, bool] | None = None
    binary: bool = False


@dataclass(slots=True)
class _Bytes:
    """What follows the JSON, taken from the front tensor by tensor."""

    left: memoryview = field(default_factory=lambda: memoryview(b""))

    def take(self, size: int, where: str) -> memoryview:
        if size > len(self.left):
            raise Refused(
                "wrong_shape",
                f"{where} has {len(self.left)} bytes left of the {size} that are announced",
                where,
            )
        part, self.left = self.left[:size], self.left[size:]
        return part


def _read(request: Request, model: ServedModel) -> Question:
    document, rest = _split(request)
    inputs = document.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise Refused("missing_field", 'the body must have "inputs": a list of tensors', "inputs")
    tensors = [_tensor(tensor, rest, f"inputs[{i}]") for i, tensor in enumerate(inputs)]
    if len(rest.left):
        raise Refused("wrong_shape", f"{len(rest.left)} bytes after the JSON belong to no tensor", "inputs")
    question = Question(_data(model.inputs, tensors))
    reply = Reply()
    if len(document) > 1:
        _read_wishes(document, model, question, reply)
    question.reply = reply
    return question


def _split(request: Request) -> tuple[dict[str, Any], _Bytes]:
    body, length = request.body, request.json_length
    rest = _Bytes()
    if length is not None:
        if not length.isdigit() or int(length) > len(body):
            raise Refused(
                "bad_request",
                "Inference-Header-Content-Length must be the length of the JSON before the tensors' bytes",
                "Inference-Header-Content-Length",
            )
        rest = _Bytes(memoryview(body)[int(length) :])
        body = body[: int(length)]
    document = parse_json(body)
    if not isinstance(document, dict):
        raise Refused("not_an_object", 'the body must be a JSON object with "inputs": a list of tensors')
    return document, rest


def _tensor(given: Any, rest: _Bytes, where: str) -> Tensor:
    if not isinstance(given, dict):
        raise Refused("wrong_type", f"{where} must be an object with name, shape, datatype and data", where)
    name, datatype, shape = given.get("name"), given.get("datatype"), given.get("shape")
    if not isinstance(name, str):
        raise Refused("wrong_type", f"{where}.name must be a text", f"{where}.name")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise Refused(
            "wrong_type", f"{where}.datatype must be one of {', '.join(DATATYPES)}", f"{where}.datatype"
        )
    if (
        not isinstance(shape, list)
        or not 0 < len(shape) <= _DEEPEST
        or any(type(size) is not int or size < 0 for size in shape)
    ):
        raise Refused("wrong_type", f"{where}.shape must be a list of whole numbers", f"{where}.shape")
    if "data" in given:
        if datatype == "FP16":
            raise Refused("wrong_type", f"{where}: FP16 is sent as bytes, JSON has no form for it", where)
        return from_json(name, datatype, tuple(shape), given["data"], f"{where}.data")
    size = _parameters(given, where).get("binary_data_size")
    if type(size) is not int or size < 0:
        raise Refused("missing_field", f"{where} must have data, or the parameter binary_data_size", where)
    return from_bytes(name, datatype, tuple(shape), rest.take(size, where), where)


def _read_wishes(document: dict[str, Any], model: ServedModel, question: Question, reply: Reply) -> None:
    reply.id = document.get("id")
    if reply.id is not None and not isinstance(reply.id, str):
        raise Refused("wrong_type", "id must be a text", "id")
    parameters = _parameters(document, "the body")
    reply.binary = parameters.get("binary_data_output") is True
    question.params = {name: value for name, value in parameters.items() if has_param(model, name)} or None
    if not has_param(model, "probabilities"):
        wanted = parameters.get("probabilities", False)
        if not isinstance(wanted, bool):
            raise Refused(
                "wrong_type", "parameters.probabilities must be true or false", "parameters.probabilities"
            )
        question.probabilities = wanted
    outputs = document.get("outputs")
    if outputs is None or outputs == []:
        return
    if not isinstance(outputs, list):
        raise Refused("wrong_type", "outputs must be a list of objects with a name", "outputs")
    reply.outputs = {}
    for i, output in enumerate(outputs):
        where = f"outputs[{i}]"
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise Refused("wrong_type", f"{where} must be an object with a name", where)
        binary = _parameters(output, where).get("binary_data", reply.binary)
        reply.outputs[output["name"]] = binary is True


def _parameters(given: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = given.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise Refused("wrong_type", f"parameters of {where} must be an object", f"{where}.parameters")
    return parameters


def _data(inputs: Inputs, tensors: list[Tensor]) -> Any:
    names = [tensor.name for tensor in tensors]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused("duplicate_column", f"there are two tensors of the name {twice[:100]!r}", "inputs")
    if isinstance(inputs, ColumnInputs):
        return _columns(inputs, tensors)
    schema = inputs.schema
    if schema is not None and schema.is_tensor_spec():
        return inputs.from_array_input(_as_the_signature_says(schema, tensors))
    rows = tensors[0].shape[0]
    if isinstance(inputs, RawInputs) and len(tensors) == 1:
        return inputs.from_tensors("inputs", tensors[0].array().tolist())
    if schema is None and len(tensors) == 1 and len(tensors[0].shape) > 1:
        return inputs.from_array_input(tensors[0].array())
    columns = {tensor.name: _column(tensor, rows, i) for i, tensor in enumerate(tensors)}
    if isinstance(inputs, RawInputs):
        return inputs.from_tensors("inputs", pd.DataFrame(columns).to_dict(orient="records"))
    return inputs.from_frame(pd.DataFrame(columns), "rows")


def _columns(inputs: ColumnInputs, tensors: list[Tensor]) -> Any:
    """A tensor for each column; or one of all columns side by side, by whatever name."""
    first, width = tensors[0], len(inputs.names)
    rows = first.shape[0]
    if len(tensors) == 1 and first.name not in inputs.names and len(first.shape) == 2:
        if first.shape[1] != width:
            raise Refused(
                "wrong_shape",
                f"inputs[0].shape is {list(first.shape)}: the model has {width} columns",
                "inputs[0].shape",
            )
        matrix = first.array()
        return inputs.from_arrays({name: matrix[:, i] for i, name in enumerate(inputs.names)}, rows, "rows")
    columns: dict[str, Any] = {}
    for i, tensor in enumerate(tensors):
        if inputs.named and tensor.name not in inputs.known:
            raise Refused("unknown_column", inputs.unknown_text(tensor.name[:100]), f"inputs[{i}].name")
        if tensor.shape not in ((rows,), (rows, 1)):
            raise Refused(
                "wrong_shape",
                f"inputs[{i}].shape is {list(tensor.shape)}: a column has the shape [{rows}] or [{rows}, 1]",
                f"inputs[{i}].shape",
            )
        columns[tensor.name] = tensor.values
    if not inputs.named and len(columns) != width:
        raise Refused("missing_column", f"the model has {width} columns, not {len(columns)}", "inputs")
    return inputs.from_arrays(columns, rows, "rows")


def _column(tensor: Tensor, rows: int, i: int) -> Any:
    if tensor.shape[0] != rows:
        raise Refused(
            "wrong_shape",
            f"inputs[{i}] has {tensor.shape[0]} rows, the first tensor {rows}",
            f"inputs[{i}].shape",
        )
    array = tensor.array()
    return array if array.ndim == 1 else list(array)


def _as_the_signature_says(schema: Any, tensors: list[Tensor]) -> Any:
    specs = schema.input_dict() if schema.has_input_names() else None
    if specs is None:
        if len(tensors) != 1:
            raise Refused("wrong_shape", f"the model takes one tensor, not {len(tensors)}", "inputs")
        return _cast(tensors[0].array(), schema.inputs[0].type)
    return {
        tensor.name: _cast(tensor.array(), specs[tensor.name].type)
        if tensor.name in specs
        else tensor.array()
        for tensor in tensors
    }


def _cast(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """As JSON's numbers are cast, where no digit before the point is lost."""
    return array.astype(dtype) if np.can_cast(array.dtype, dtype, "same_kind") else array


def _write(model: ServedModel, question: Question, predictions: Any) -> Answer:
    reply: Reply = question.reply
    tensors = _outputs(model, question, predictions)
    if reply.outputs is not None:
        by_name = {tensor.name: tensor for tensor in tensors}
        unknown = next((name for name in reply.outputs if name not in by_name), None)
        if unknown is not None:
            there = ", ".join(by_name)
            raise Refused(
                "unknown_output", f"there is no output {unknown[:100]!r}; there is {there}", "outputs"
            )
        tensors = [by_name[name] for name in reply.outputs]
    document: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if reply.id is not None:
        document["id"] = reply.id
    binary: list[bytes] = []
    outputs = document["outputs"] = []
    for tensor in tensors:
        output = {"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}
        if reply.binary if reply.outputs is None else reply.outputs[tensor.name]:
            binary.append(to_bytes(tensor))
            output["parameters"] = {"binary_data_size": len(binary[-1])}
        else:
            output["data"] = tensor.values
        outputs.append(output)
    body = dumps(model, document)
    if not binary:
        return Answer(body, rows_of(predictions))
    length = b"%d" % len(body)
    return Answer(
        b"".join([body, *binary]),
        rows_of(predictions),
        _BINARY,
        [(b"inference-header-content-length", length)],
    )


def _outputs(model: ServedModel, question: Question, predictions: Any) -> list[Tensor]:
    if question.probabilities:
        classes = [] if model.classes is None else [of_predictions(CLASSES, model.classes)]
        return [of_predictions(PREDICTIONS, predictions), *classes]
    if isinstance(predictions, list) and predictions and all(isinstance(row, dict) for row in predictions):
        names = dict.fromkeys(name for row in predictions for name in row)
        return [of_predictions(name, [row.get(name) for row in predictions]) for name in names]
    return [of_predictions(output_name(model), predictions)]


def output_name(model: ServedModel) -> str:
    """What the signature calls the one output there is."""
    outputs = (model.signature or {}).get("outputs")
    return (outputs[0].get("name") if outputs and len(outputs) == 1 else None) or PREDICTIONS


answer_infer = Form(_read, _write, strict=False)
"""{"inputs": tensors} -> {"model_name", "model_version", "outputs": tensors}."""
