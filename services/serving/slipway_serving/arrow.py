"""Many rows at once: Arrow IPC streams in and out, and the Parquet that MLflow's scoring protocol takes.

What comes from outside is looked at before it is unpacked: it may claim to be anything. pyarrow is imported
when it is first needed.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import Refused, first_line

if TYPE_CHECKING:
    import pyarrow as pa

    from .inputs import Inputs

MEDIA = "application/vnd.apache.arrow.stream"
_ACCEPTED = MEDIA.encode()
_FIELD = "arrow"
_DICTIONARY, _BATCH = 2, 3
_WITH_BUFFERS = ("record batch", "dictionary")
# Of these little becomes not much more; others can make gigabytes of a small file.
_PARQUET_CODECS = ("UNCOMPRESSED", "SNAPPY")
_DEEPEST = 4


def wanted(accept: bytes) -> bool:
    """Whether an Accept header asks for Arrow."""
    return _ACCEPTED in accept


def read(body: bytes, inputs: Inputs) -> Any:
    """An IPC stream -> model input; raises Refused."""
    import pyarrow as pa

    try:
        for message in _messages(body):
            if message.type in ("record batch", "dictionary") and _is_compressed(
                message.metadata.to_pybytes()
            ):
                raise Refused(
                    "unsupported_media_type",
                    "send the stream's buffers uncompressed; the whole body may be compressed with gzip",
                    "Content-Type",
                )
        batches, rows = [], 0
        with pa.ipc.open_stream(pa.py_buffer(body)) as reader:
            schema = reader.schema
            names = schema.names
            _check_types(schema)
            for batch in reader:
                rows += batch.num_rows
                if rows > inputs.max_rows:
                    break
                batch.validate(full=True)
                batches.append(batch)
    except Refused:
        raise
    except (pa.ArrowException, OSError, ValueError, EOFError, struct.error, IndexError) as error:
        raise Refused("not_arrow", f"the body is no whole Arrow IPC stream ({first_line(error)})") from None
    inputs.check_count(rows, _FIELD)
    return _input(pa.Table.from_batches(batches, schema), names, inputs, _FIELD)


def read_parquet(body: bytes, inputs: Inputs) -> Any:
    """A Parquet file -> model input; raises Refused."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # Texts stay what they are in the file, a value and where it is used: one long text is not copied.
        schema = pq.read_schema(pa.BufferReader(body))
        texts = [field.name for field in schema if _is_text(field.type)]
        file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
        inputs.check_count(file.metadata.num_rows, "parquet")
        _check_codecs(file.metadata)
        _check_types(file.schema_arrow)
        table = file.read()
        table.validate(full=True)
    except Refused:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Refused("not_parquet", f"the body is no Parquet file ({first_line(error)})") from None
    inputs.check_count(table.num_rows, "parquet")
    return _input(table, schema.names, inputs, "parquet")


def write(predictions: Any, classes: list | None = None) -> bytes:
    """Predictions -> an IPC stream: a column `predictions`, or one for each class or named output."""
    import pyarrow as pa

    table = pa.table(_columns(predictions, classes))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


def _columns(predictions: Any, classes: list | None) -> dict[str, Any]:
    if isinstance(predictions, np.ndarray) and predictions.ndim == 2:
        names = map(str, range(predictions.shape[1]) if classes is None else classes)
        return dict(zip(names, np.ascontiguousarray(predictions.T), strict=True))
    if isinstance(predictions, list) and predictions and all(isinstance(row, dict) for row in predictions):
        names = dict.fromkeys(name for row in predictions for name in row)
        return {name: [row.get(name) for row in predictions] for name in names}
    if isinstance(predictions, np.ndarray):
        return {"predictions": list(predictions) if predictions.ndim > 1 else predictions}
    return {"predictions": predictions if isinstance(predictions, list) else [predictions]}


def _messages(body: bytes) -> Any:
    import pyarrow as pa

    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(body))
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _is_compressed(message: bytes) -> bool:
    """Whether a batch's own head says that its buffers are: Message.header is a RecordBatch, whose field 3
    `compression` is then there, or a DictionaryBatch, which has one as its field 1 `data`.
    """
    table = struct.unpack_from("<I", message, 0)[0]
    kind = message[_field(message, table, 1)]
    table = _follow(message, _field(message, table, 2))
    if kind == _DICTIONARY:
        table = _follow(message, _field(message, table, 1))
    return bool(_field(message, table, 3)) if kind in (_DICTIONARY, _BATCH) else False


def _field(message: bytes, table: int, number: int) -> int:
    """Where a Flatbuffers table has its field; 0 where it has none."""
    vtable = table - struct.unpack_from("<i", message, table)[0]
    slot = 4 + 2 * number
    if slot >= struct.unpack_from("<H", message, vtable)[0]:
        return 0
    offset = struct.unpack_from("<H", message, vtable + slot)[0]
    return table + offset if offset else 0


def _follow(message: bytes, place: int) -> int:
    return place + struct.unpack_from("<I", message, place)[0]


def _check_types(schema: pa.Schema) -> None:
    """Only types whose values take no more room than was sent: a view may show the same bytes many times."""
    for field in schema:
        if not _is_plain(field.type, _DEEPEST):
            raise Refused(
                "unsupported_type",
                f"the column {field.name[:100]!r} has Arrow's type {str(field.type)[:100]}: send numbers, "
                "booleans, texts, bytes, timestamps or lists of them",
                f"{_FIELD}.{field.name[:100]}",
            )


def _is_plain(kind: pa.DataType, depth: int) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_plain(kind.value_type, 0)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return (
            depth > 0 and not types.is_dictionary(kind.value_type) and _is_plain(kind.value_type, depth - 1)
        )
    return (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_null(kind)
        or types.is_timestamp(kind)
        or types.is_date(kind)
        or _is_text(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
    )


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return types.is_string(kind) or types.is_large_string(kind)


def _check_codecs(metadata: Any) -> None:
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            codec = metadata.row_group(group).column(number).compression
            if codec not in _PARQUET_CODECS:
                raise Refused(
                    "unsupported_media_type",
                    f"write the Parquet file with compression='snappy' or without, not {codec}",
                    "Content-Type",
                )


def _input(table: pa.Table, names: list[str], inputs: Inputs, field: str) -> Any:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused("duplicate_column", f"{field} has the column {twice[:100]!r} twice", field)
    columns = {}
    for name in inputs.among(names):
        try:
            columns[name] = _values(table.column(name))
        except (ValueError, OverflowError) as error:  # a date that no calendar has, a time zone of nowhere
            raise Refused(
                "invalid_input", f"{field}.{name}: {first_line(error)}", f"{field}.{name}"
            ) from None
    return inputs.from_arrays(columns, table.num_rows, field)


def _values(column: pa.ChunkedArray) -> np.ndarray | list:
    """A typed array where numpy has one for it, else the values themselves."""
    from pyarrow import types

    kind = column.type
    if types.is_dictionary(kind):
        return [value for chunk in column.chunks for value in _used(chunk)]
    if types.is_floating(kind) or types.is_timestamp(kind) or types.is_date(kind):
        return column.to_numpy()
    if (types.is_integer(kind) or types.is_boolean(kind)) and not column.null_count:
        return column.to_numpy()
    if types.is_binary(kind) or types.is_large_binary(kind):
        out = np.empty(len(column), dtype=object)
        out[:] = column.to_pylist()
        return out
    return column.to_pylist()


def _used(chunk: pa.DictionaryArray) -> list:
    """Each value once in memory, however often it is used."""
    values = chunk.dictionary.to_pylist()
    return [None if index is None else values[index] for index in chunk.indices.to_pylist()]
