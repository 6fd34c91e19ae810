"""Tensors of the Open Inference Protocol: from JSON or bytes into arrays, and back."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import orjson
from mlflow.types import DataType

from .columns import CONVERTERS, BadValue
from .errors import Refused

DATATYPES: dict[str, np.dtype] = {
    "BOOL": np.dtype(np.bool_),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(object),
}
_OF_COLUMNS = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
}
_NAMES = {dtype: name for name, dtype in DATATYPES.items()}
_LENGTH = struct.Struct("<I")


@dataclass(slots=True)
class Tensor:
    """values: flat and row-major; a list for texts, bytes and where something is missing."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Any

    def array(self) -> np.ndarray:
        values = self.values
        if not isinstance(values, np.ndarray):
            values = np.array(values, dtype=DATATYPES[self.datatype])
        return values.reshape(self.shape)


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Any, field: str) -> Tensor:
    """Flat or nested as the shape says; raises Refused with the first value that is wrong."""
    if not isinstance(data, list):
        raise Refused("wrong_type", f"{field} must be a list of the tensor's values", field)
    flat = _flat(data, shape, field)
    _check_size(len(flat), shape, field)
    try:
        return Tensor(name, datatype, shape, _typed(datatype, flat))
    except BadValue as bad:
        where = f"{field}[{bad.row}]"
        raise Refused(bad.code, f"{where} {bad.reason}", where) from None


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], data: memoryview, field: str) -> Tensor:
    """Little-endian and row-major, as the protocol's extension for binary data has it; raises Refused."""
    if datatype == "BYTES":
        values = _texts(data, prod(shape), field)
        _check_size(len(values), shape, field)
        return Tensor(name, datatype, shape, values)
    dtype = DATATYPES[datatype].newbyteorder("<")
    if len(data) != prod(shape) * dtype.itemsize:
        raise Refused(
            "wrong_shape",
            f"{field} has {len(data)} bytes; {list(shape)} of {datatype} are {prod(shape) * dtype.itemsize}",
            field,
        )
    if datatype == "BOOL":
        values = np.frombuffer(data, np.uint8)
        if values.size and values.max() > 1:
            raise Refused("wrong_type", f"{field}: a BOOL is a byte of 0 or 1", field)
        return Tensor(name, datatype, shape, values.astype(np.bool_))
    return Tensor(name, datatype, shape, np.frombuffer(data, dtype).astype(DATATYPES[datatype], copy=False))


def of_predictions(name: str, predictions: Any) -> Tensor:
    """Predictions, as a model gives them for JSON, with the datatype that holds them all."""
    if isinstance(predictions, np.ndarray):
        datatype = _NAMES.get(predictions.dtype)
        if datatype is not None:
            return Tensor(name, datatype, predictions.shape, predictions.reshape(-1))
        predictions = predictions.tolist()
    values = predictions if isinstance(predictions, list) else [predictions]
    kinds = set(map(type, values))
    if kinds == {str}:
        return Tensor(name, "BYTES", (len(values),), values)
    if kinds == {bool}:
        return Tensor(name, "BOOL", (len(values),), values)
    if kinds == {int}:
        datatype = "INT64" if max(values) < 2**63 else "UINT64"
        if np.iinfo(DATATYPES[datatype]).min <= min(values):
            return Tensor(name, datatype, (len(values),), values)
    elif kinds and kinds <= {int, float, type(None)}:
        return Tensor(name, "FP64", (len(values),), values)
    texts = [value if isinstance(value, str) else orjson.dumps(value).decode() for value in values]
    return Tensor(name, "BYTES", (len(values),), texts)


def to_bytes(tensor: Tensor) -> bytes:
    """The tensor as the extension for binary data has it."""
    if tensor.datatype != "BYTES":
        array = np.array(tensor.values, dtype=DATATYPES[tensor.datatype])  # a missing value becomes NaN
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    encoded = (value.encode() for value in tensor.values)
    return b"".join(chain.from_iterable((_LENGTH.pack(len(value)), value) for value in encoded))


def tensor_of(spec: dict[str, Any], unnamed: str) -> dict[str, Any]:
    """A signature's column or tensor as the protocol describes it; -1 stands for any size."""
    name = spec.get("name") or unnamed
    if spec.get("type") != "tensor":
        return {"name": name, "datatype": _OF_COLUMNS.get(str(spec.get("type")), "BYTES"), "shape": [-1]}
    tensor = spec["tensor-spec"]
    return {"name": name, "datatype": _datatype(tensor["dtype"]), "shape": list(tensor["shape"])}


def _datatype(dtype: str) -> str:
    try:
        known = np.dtype(dtype)
    except TypeError:
        return "BYTES"
    return next((name for name, one in DATATYPES.items() if one == known), "BYTES")


def _flat(data: list, shape: tuple[int, ...], field: str) -> list:
    if list not in set(map(type, data)):
        return data
    rows = data
    for size, inner in zip(shape, (*shape[1:], None), strict=True):
        last = inner is None
        if len(rows) and set(map(type, rows)) == {list} and not last:
            if {inner} != set(map(len, rows)):
                break
            if rows is data and len(data) != size:
                break
            rows = list(chain.from_iterable(rows))
        elif last and list not in set(map(type, rows)):
            return rows
        else:
            break
    raise Refused("wrong_shape", f"{field} is not nested as the shape {list(shape)} says", field)


def _check_size(size: int, shape: tuple[int, ...], field: str) -> None:
    if size != prod(shape):
        raise Refused(
            "wrong_shape", f"{field} has {size} values; the shape {list(shape)} has {prod(shape)}", field
        )


def _typed(datatype: str, values: list) -> Any:
    if datatype == "BYTES":
        if set(map(type, values)) != {str}:
            CONVERTERS[DataType.string](values, False)  # null is the column's affair
        return values
    dtype = DATATYPES[datatype]
    if dtype.kind == "b":
        return CONVERTERS[DataType.boolean](values, True)
    if dtype.kind == "f":
        array = CONVERTERS[DataType.double if dtype.itemsize == 8 else DataType.float](values, False)
        if dtype.itemsize == 2 and (np.abs(array) > np.finfo(np.float16).max).any():
            row = int((np.abs(array) > np.finfo(np.float16).max).argmax())
            raise BadValue(row, "out_of_range", "is too large for a 16-bit number")
        return array.astype(dtype, copy=False)
    if datatype == "UINT64" and set(map(type, values)) == {int} and min(values) >= 0:
        return np.array(values, dtype=np.uint64)
    array = CONVERTERS[DataType.long](values, True)
    bounds = np.iinfo(dtype)
    wrong = (array < bounds.min) | (array > min(bounds.max, 2**63 - 1))
    if wrong.any():
        raise BadValue(int(wrong.argmax()), "out_of_range", f"must be between {bounds.min} and {bounds.max}")
    return array.astype(dtype, copy=False)


def _texts(data: memoryview, most: int, field: str) -> list[str | bytes]:
    """Each with its length before it: texts, or bytes where they are not UTF-8."""
    values: list[str | bytes] = []
    place = 0
    while place < len(data):
        if place + 4 > len(data) or len(values) == most:
            raise Refused("wrong_shape", f"{field} has other bytes than its shape says", field)
        (size,) = _LENGTH.unpack_from(data, place)
        place += 4
        if place + size > len(data):
            raise Refused("wrong_shape", f"{field}: value {len(values)} is longer than what is left", field)
        raw = bytes(data[place : place + size])
        place += size
        try:
            values.append(raw.decode())
        except UnicodeDecodeError:
            values.append(raw)
    return values
