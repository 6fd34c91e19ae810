"""Requests and their answers as one Parquet file.

Columns: time, request_id, row (its number in the request), by, route, caller_kind, caller, then `input_NAME`
for each column of the model and `prediction`, or `prediction_NAME` where a prediction has several. What is no
column of plain values is written as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .table import Table

if TYPE_CHECKING:
    from .observations import Exchange
    from .prediction_log import Record

_CELL_BYTES = 16
_LOOKED_AT = 64


def size_of(exchange: Exchange) -> int:
    """Bytes that a request keeps in memory, estimated within microseconds."""
    return 1000 + _size(exchange.data) + _size(exchange.predictions)


def _size(value: Any) -> int:
    if isinstance(value, Table):
        return sum(_size(column) for column in value.columns if column is not None)
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value.nbytes
    if isinstance(value, pd.DataFrame):
        return int(value.size) * _CELL_BYTES * 4
    if isinstance(value, np.ndarray | list | tuple) and len(value):
        some = value[:_LOOKED_AT]
        return int(sum(map(_size, some)) / len(some) * len(value))
    if isinstance(value, dict):
        return sum(_CELL_BYTES + _size(item) for item in value.values())
    return _CELL_BYTES + (len(value) if isinstance(value, str | bytes) else 0)


def to_parquet(records: Sequence[Record]) -> pa.Buffer:
    """Of requests to one version of one model."""
    counts = [record.exchange.rows for record in records]
    columns: dict[str, Any] = {
        "time": pa.array(
            _each([datetime.fromtimestamp(record.time, UTC) for record in records], counts),
            pa.timestamp("us", "UTC"),
        ),
        "request_id": _each([record.request_id for record in records], counts),
        "row": pa.array(np.concatenate([np.arange(count, dtype=np.int32) for count in counts])),
    }
    for name, read in (
        ("by", lambda one: one.by),
        ("route", lambda one: one.route),
        ("caller_kind", lambda one: one.caller.kind),
        ("caller", lambda one: one.caller.name),
    ):
        columns[name] = _each([read(record.exchange) for record in records], counts)
    columns.update(_inputs([record.exchange.data for record in records], counts))
    columns.update(_predictions([record.exchange.predictions for record in records], counts))
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    return sink.getvalue()


def _each(values: Sequence[Any], counts: Sequence[int]) -> list[Any]:
    return [value for value, count in zip(values, counts, strict=True) for _ in range(count)]


def _inputs(data: Sequence[Any], counts: Sequence[int]) -> dict[str, Any]:
    if all(isinstance(one, Table) and len(one) == count for one, count in zip(data, counts, strict=True)):
        names = data[0].names
        parts = {name: [one.columns[i] for one in data] for i, name in enumerate(names)}
        return {f"input_{name}": _column(columns, counts) for name, columns in parts.items()}
    return {"input": _as_json(data, counts)}


def _column(parts: Sequence[Any], counts: Sequence[int]) -> pa.Array:
    arrays = [
        pa.nulls(count) if part is None else pa.array(part, from_pandas=True)
        for part, count in zip(parts, counts, strict=True)
    ]
    types = {array.type for array in arrays if array.type != pa.null()}
    if len(types) > 1:
        return _as_json(parts, counts)
    kind = types.pop() if types else pa.string()
    return pa.concat_arrays([array.cast(kind) for array in arrays])


def _predictions(predictions: Sequence[Any], counts: Sequence[int]) -> dict[str, Any]:
    rows: list[Any] = []
    for one, count in zip(predictions, counts, strict=True):
        plain = one.tolist() if isinstance(one, np.ndarray) else one
        if not isinstance(plain, list) or len(plain) != count:
            return {"prediction": _as_json(predictions, counts)}
        rows += plain
    try:
        if all(isinstance(row, dict) for row in rows):
            names = dict.fromkeys(name for row in rows for name in row)
            return {f"prediction_{name}": pa.array([row.get(name) for row in rows]) for name in names}
        return {"prediction": pa.array(rows)}
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return {"prediction": pa.array([_json(row) for row in rows])}


def _as_json(values: Sequence[Any], counts: Sequence[int]) -> pa.Array:
    """A row each where they can be told apart, else the whole beside the first row."""
    texts: list[str | None] = []
    for value, count in zip(values, counts, strict=True):
        plain = value.to_dict(orient="records") if isinstance(value, pd.DataFrame) else value
        if isinstance(plain, list | np.ndarray) and len(plain) == count:
            texts += map(_json, plain)
        else:
            texts += [_json(plain), *[None] * (count - 1)] if count else []
    return pa.array(texts, pa.string())


def _json(value: Any) -> str:
    options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    return orjson.dumps(value, default=str, option=options).decode()
