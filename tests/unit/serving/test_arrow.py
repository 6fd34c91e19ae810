"""Arrow and Parquet: the same answers as JSON, and nothing that is sent takes more than was sent."""

from types import SimpleNamespace

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, Schema, TensorSpec
from slipway_serving import arrow
from slipway_serving.answers import Request, answer_invocation, answer_predict
from slipway_serving.errors import Refused
from slipway_serving.schema import compile_inputs

COLUMNS = [
    ("number", "double", True),
    ("small", "float", False),
    ("count", "long", True),
    ("year", "integer", True),
    ("text", "string", False),
    ("on", "boolean", True),
    ("when", "datetime", False),
    ("raw", "binary", False),
]


def inputs_of(*columns, max_rows=100):
    specs = [ColSpec(type=kind, name=name, required=required) for name, kind, required in columns]
    return compile_inputs(ModelSignature(inputs=Schema(specs)), max_rows)


INPUTS = inputs_of(*COLUMNS)
FRAME = pd.DataFrame(
    {
        "raw": [b"\x00\x01", b""],
        "when": pd.to_datetime(["2026-01-31T12:00:00.5", "1999-12-31T00:00:00.0"]),
        "on": [True, False],
        "text": ["häh", ""],
        "year": np.array([1, -2], dtype=np.int16),
        "count": [2**60, 3],
        "small": np.array([0.5, 2.0], dtype=np.float32),
        "number": [1, 2],
        "unknown": ["?", "?"],
    }
)


def stream(table, **options):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for batch in table.to_batches(max_chunksize=max(7, len(table) // 7)):
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def parquet(table, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    return sink.getvalue().to_pybytes()


def refused(call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    "read", [lambda t: arrow.read(stream(t), INPUTS), lambda t: arrow.read_parquet(parquet(t), INPUTS)]
)
def test_every_plain_type_is_read_as_the_signature_has_it(read):
    frame = read(pa.Table.from_pandas(FRAME)).frame()
    assert list(frame) == [name for name, _, _ in COLUMNS]
    assert frame.dtypes.astype(str).to_dict() == {
        "number": "float64",
        "small": "float32",
        "count": "int64",
        "year": "int32",
        "text": "str",
        "on": "bool",
        "when": "datetime64[ns]",
        "raw": "object",
    }
    assert frame["count"].tolist() == [2**60, 3]
    assert frame["raw"].tolist() == [b"\x00\x01", b""]
    assert frame["when"].tolist() == FRAME["when"].tolist()


rows = st.lists(
    st.fixed_dictionaries(
        {
            "number": st.floats(allow_nan=False, allow_infinity=False),
            "count": st.integers(-(2**63), 2**63 - 1),
            "text": st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
            "on": st.booleans(),
        }
    ),
    min_size=1,
    max_size=20,
)


@given(rows)
def test_arrow_parquet_and_json_give_the_same_table(rows):
    inputs = inputs_of(*(column for column in COLUMNS if column[0] in rows[0]))
    table = pa.Table.from_pylist(
        rows,
        pa.schema(
            [("number", pa.float64()), ("count", pa.int64()), ("text", pa.string()), ("on", pa.bool_())]
        ),
    )
    expected = inputs.from_rows(orjson.loads(orjson.dumps(rows))).frame()
    coded = table.set_column(2, "text", table.column("text").dictionary_encode())
    for data in (
        arrow.read(stream(table), inputs),
        arrow.read(stream(coded), inputs),
        arrow.read_parquet(parquet(table), inputs),
    ):
        pd.testing.assert_frame_equal(data.frame(), expected)


@pytest.mark.parametrize(
    ("column", "value", "code", "field"),
    [
        ("number", pa.array([1.0, None]), "missing_value", "arrow[1].number"),
        ("number", pa.array([1.0, float("inf")]), "not_finite", "arrow[1].number"),
        ("number", pa.array(["1", "2"]), "wrong_type", "arrow[0].number"),
        ("number", pa.array([True, False]), "wrong_type", "arrow[0].number"),
        ("number", pa.array(pd.to_datetime(["2026-01-01"] * 2)), "wrong_type", "arrow[0].number"),
        ("small", pa.array([1.0, 1e39]), "out_of_range", "arrow[1].small"),
        ("count", pa.array([1.0, 1.5]), "wrong_type", "arrow[1].count"),
        ("count", pa.array([1, 2**63], pa.uint64()), "out_of_range", "arrow[1].count"),
        ("year", pa.array([1, 2**31]), "out_of_range", "arrow[1].year"),
        ("text", pa.array([1, 2]), "wrong_type", "arrow[0].text"),
        ("on", pa.array([True, None]), "missing_value", "arrow[1].on"),
        ("when", pa.array([1, 2]), "wrong_type", "arrow[0].when"),
        ("when", pa.array([2**62, 0], pa.timestamp("s")), "out_of_range", None),
    ],
)
def test_what_is_wrong_is_named_with_its_row_and_column(column, value, code, field):
    table = pa.Table.from_pandas(FRAME)
    table = table.set_column(table.column_names.index(column), column, value)
    error = refused(arrow.read, stream(table), INPUTS)
    assert error.code == code
    assert field in (None, error.field)


def test_columns_and_rows_are_counted_like_any_others():
    table = pa.Table.from_pandas(FRAME)
    assert refused(arrow.read, stream(table.drop_columns(["count"])), INPUTS).code == "missing_column"
    assert refused(arrow.read, stream(table.slice(0, 0)), INPUTS).code == "empty_inputs"
    twice = pa.table([[1.0], [2.0]], names=["x", "x"])
    assert refused(arrow.read, stream(twice), inputs_of(("x", "double", True))).code == "duplicate_column"
    nothing = pa.table({"x": pa.nulls(10**9)})  # a few bytes
    assert refused(arrow.read, stream(nothing), inputs_of(("x", "double", True))).code == "too_many_rows"


def test_compressed_buffers_are_refused_before_they_are_unpacked():
    table = pa.table({"x": np.zeros(1_000_000)})
    for codec in ("lz4", "zstd"):
        error = refused(arrow.read, stream(table, compression=codec), INPUTS)
        assert (error.code, error.field) == ("unsupported_media_type", "Content-Type")
        coded = pa.table({"x": pa.array(["a" * 1000] * 5).dictionary_encode()})
        assert refused(arrow.read, stream(coded, compression=codec), INPUTS).code == "unsupported_media_type"


def test_types_that_show_the_same_bytes_many_times_are_refused():
    for value in (
        pa.array(["a long text that is not inline"]).cast(pa.string_view()),
        pa.RunEndEncodedArray.from_arrays(pa.array([5], pa.int32()), pa.array([1.0])),
        pa.array([{"a": 1}]),
    ):
        error = refused(arrow.read, stream(pa.table({"number": value})), INPUTS)
        assert (error.code, error.field) == ("unsupported_type", "arrow.number")


def test_parquet_that_unpacks_to_much_more_is_refused():
    table = pa.table({"number": np.zeros(10)})
    for codec in ("gzip", "zstd", "brotli"):
        error = refused(arrow.read_parquet, parquet(table, compression=codec), INPUTS)
        assert error.code == "unsupported_media_type"
    long = pa.table({"text": ["a" * 1_000_000] * 90})
    data = arrow.read_parquet(parquet(long), inputs_of(("text", "string", True)))
    assert len({id(text) for text in data.columns[0]}) == 1


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_it_fail_otherwise(body):
    for read in (arrow.read, arrow.read_parquet):
        with pytest.raises(Refused):
            read(body, INPUTS)


GOOD = stream(pa.Table.from_pandas(FRAME))


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=4))
@example(GOOD.index(str(FRAME.columns[0]).encode()), b"\x80")
def test_a_damaged_stream_is_refused_or_read_and_nothing_else(place, other):
    try:
        arrow.read(GOOD[:place] + other + GOOD[place + len(other) :], INPUTS)
    except Refused as error:
        assert error.message


def test_lists_and_tensors_reach_models_that_take_them():
    lists = compile_inputs(ModelSignature(inputs=Schema([ColSpec(Array(DataType.double), "a")])), 10)
    frame = arrow.read(stream(pa.table({"a": [[1.0, 2.0], [3.0, 4.0]]})), lists)
    assert [list(value) for value in frame["a"]] == [[1.0, 2.0], [3.0, 4.0]]
    tensor = compile_inputs(ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))])), 10)
    data = arrow.read(stream(pa.table({"0": [1.0, 2.0], "1": [3.0, 4.0]})), tensor)
    assert np.asarray(data).tolist() == [[1.0, 3.0], [2.0, 4.0]]


@pytest.mark.parametrize("form", [answer_predict, answer_invocation])
@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (np.array([1.5, np.nan]), {"predictions": [1.5, None]}),
        (["Red", "Blue"], {"predictions": ["Red", "Blue"]}),
        ([{"a": 1, "b": None}, {"a": 2, "b": "x"}], {"a": [1, 2], "b": [None, "x"]}),
        (np.array([[1, 2], [3, 4]]), {"0": [1, 3], "1": [2, 4]}),
        (3.0, {"predictions": [3.0]}),
    ],
    ids=["numbers", "labels", "table", "matrix", "one"],
)
def test_answers_come_as_arrow_to_who_asks_for_it(form, predictions, expected):
    model = SimpleNamespace(
        name="m", version="1", inputs=INPUTS, params_schema=None, predict=lambda *asked: predictions
    )
    answer = form.in_one_go(model, Request(GOOD, arrow.MEDIA, b"application/json, " + arrow.MEDIA.encode()))
    table = pa.ipc.open_stream(answer.body).read_all()
    assert table.to_pandas().replace({np.nan: None}).to_dict("list") == expected
    assert answer.media == arrow.MEDIA.encode()
