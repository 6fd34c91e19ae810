"""One column of JSON values into one typed column, or the first value that is wrong and why.

What a value may be follows JSON, not Python: 3.0 is an integer there and true is not a number.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Callable, Sequence
from operator import countOf
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types import DataType


class BadValue(Exception):
    """Value number `row` does not belong into the column."""

    def __init__(self, row: int, code: str, reason: str):
        super().__init__(reason)
        self.row = row
        self.code = code
        self.reason = reason


Converter = Callable[[Sequence[Any], bool], Any]
"""(values, required) -> array of the column's dtype; raises BadValue. None and NaN are missing values."""


def is_missing(value: Any) -> bool:
    """JSON's null, or the NaN and NaT that pandas made of it."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value)


def _describe(value: Any) -> str:
    """What was sent, in JSON's words and short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'the text "{value if len(value) <= 40 else value[:39] + "…"}"'
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return "null" if is_missing(value) else str(value)


def _wrong(row: int, wanted: str, value: Any) -> BadValue:
    return BadValue(row, "wrong_type", f"must be {wanted}, not {_describe(value)}")


def _missing(row: int, nullable: bool) -> BadValue:
    reason = (
        "must not be null: this column has no whole number for it" if nullable else "must not be null or NaN"
    )
    return BadValue(row, "missing_value", reason)


def plain_floats(values: Sequence[Any]) -> np.ndarray | None:
    """float64 of what is nothing but floats, in half of the time that NumPy takes for a list; else None."""
    if countOf(map(type, values), float) < len(values):
        return None
    array = np.empty(len(values))
    struct.pack_into(f"{len(values)}d", array, 0, *values)
    return array


def _floats(bits: int) -> Converter:
    dtype = np.float64 if bits == 64 else np.float32
    largest, numbers = float(np.finfo(dtype).max), (float, int)

    def convert(values: Sequence[Any], required: bool) -> np.ndarray:
        if len(values) == 1 and type(values[0]) in numbers and abs(values[0]) <= largest:
            return np.array(values, dtype=np.float64).astype(dtype, copy=False)
        array = plain_floats(values)
        if array is None and set(map(type, values)) <= ({*numbers} if required else {*numbers, type(None)}):
            array = np.array(values, dtype=np.float64)  # null becomes NaN
        if array is not None:
            sound = np.abs(array) <= largest  # false for NaN
            if (sound if required else sound | np.isnan(array)).all():
                return array.astype(dtype, copy=False)
        for row, value in enumerate(values):
            if is_missing(value):
                if required:
                    raise _missing(row, nullable=False)
            elif isinstance(value, bool) or not isinstance(value, int | float):
                raise _wrong(row, "a number", value)
            elif math.isinf(value):
                raise BadValue(row, "not_finite", "must be a finite number")
            elif abs(value) > largest:
                raise BadValue(row, "out_of_range", f"is too large for a {bits}-bit number")
        return np.array([math.nan if is_missing(value) else value for value in values], dtype=dtype)

    return convert


def _integers(bits: int) -> Converter:
    dtype = np.int64 if bits == 64 else np.int32
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)

    def convert(values: Sequence[Any], required: bool) -> np.ndarray:
        if set(map(type, values)) == {int} and low <= min(values) and max(values) <= high:
            return np.array(values, dtype=dtype)
        whole = []
        for row, value in enumerate(values):
            if is_missing(value):
                raise _missing(row, nullable=not required)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _wrong(row, "a whole number", value)
            if isinstance(value, float) and not value.is_integer():
                raise _wrong(row, "a whole number", value)
            if not low <= value <= high:
                raise BadValue(row, "out_of_range", f"must be between {low} and {high}")
            whole.append(int(value))
        return np.array(whole, dtype=dtype)

    return convert


def _booleans(values: Sequence[Any], required: bool) -> np.ndarray:
    for row, value in enumerate(values):
        if is_missing(value):
            raise _missing(row, nullable=not required)
        if not isinstance(value, bool):
            raise _wrong(row, "true or false", value)
    return np.array(values, dtype=np.bool_)


def _texts(values: Sequence[Any], required: bool) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    if set(map(type, values)) == {str}:
        out[:] = values
        return out
    for row, value in enumerate(values):
        if is_missing(value):
            if required:
                raise _missing(row, nullable=False)
            out[row] = math.nan
        elif isinstance(value, str):
            out[row] = value
        else:
            raise _wrong(row, "text", value)
    return out


def _bytes(values: Sequence[Any], required: bool) -> np.ndarray:
    out = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        if is_missing(value):
            if required:
                raise _missing(row, nullable=False)
            continue
        if not isinstance(value, str):
            raise _wrong(row, "base64 text", value)
        try:
            out[row] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise _wrong(row, "base64 text", value) from None
    return out


def _datetimes(values: Sequence[Any], required: bool) -> pd.DatetimeIndex:
    moments = []
    for row, value in enumerate(values):
        if is_missing(value):
            if required:
                raise _missing(row, nullable=False)
            moments.append(pd.NaT)
            continue
        if not isinstance(value, str | pd.Timestamp):
            raise _wrong(row, "a date and time such as 2026-01-31T12:00:00", value)
        try:
            moment = pd.Timestamp(value)
        except (ValueError, OverflowError):
            raise _wrong(row, "a date and time such as 2026-01-31T12:00:00", value) from None
        # MLflow's datetime has no zone: it is UTC.
        moments.append(moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment)
    return pd.DatetimeIndex(moments).as_unit("ns")


CONVERTERS: dict[DataType, Converter] = {
    DataType.boolean: _booleans,
    DataType.integer: _integers(32),
    DataType.long: _integers(64),
    DataType.float: _floats(32),
    DataType.double: _floats(64),
    DataType.string: _texts,
    DataType.binary: _bytes,
    DataType.datetime: _datetimes,
}


def from_array(kind: DataType, array: np.ndarray, required: bool) -> Any:
    """As CONVERTERS[kind], of values that have a type already; raises BadValue."""
    own = array.dtype.kind
    typed: Any = None
    if kind in (DataType.double, DataType.float) and own in "fiu":
        typed = _as_floats(array, 64 if kind == DataType.double else 32)
    elif kind in (DataType.long, DataType.integer) and own in "iu":
        bounds = np.iinfo(np.int64 if kind == DataType.long else np.int32)
        if bounds.min <= int(array.min()) and int(array.max()) <= bounds.max:
            typed = array.astype(bounds.dtype, copy=False)
    elif (kind == DataType.boolean and own == "b") or (kind == DataType.binary and _all_bytes(array)):
        typed = array
    elif own == "M":
        return _moments(kind, array, required)
    return CONVERTERS[kind](array.tolist(), required) if typed is None else typed


def _all_bytes(array: np.ndarray) -> bool:
    return array.dtype.kind == "O" and set(map(type, array)) == {bytes}


def _as_floats(array: np.ndarray, bits: int) -> np.ndarray | None:
    """None where a value is not finite or too large."""
    dtype = np.float64 if bits == 64 else np.float32
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            return None
        if array.dtype.itemsize * 8 > bits and np.abs(array).max() > np.finfo(dtype).max:
            return None
    return array.astype(dtype, copy=False)


def _moments(kind: DataType, array: np.ndarray, required: bool) -> pd.DatetimeIndex:
    if kind != DataType.datetime:
        raise BadValue(0, "wrong_type", "must not be a date and time")
    missing = np.isnat(array)
    if required and missing.any():
        raise _missing(int(missing.argmax()), nullable=False)
    try:
        return pd.DatetimeIndex(array).as_unit("ns")
    except (ValueError, OverflowError):
        raise BadValue(0, "out_of_range", "must be between the years 1678 and 2261") from None
