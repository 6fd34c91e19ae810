"""What a caller sends against a signature: the right things get through typed, the wrong ones are named."""

import numpy as np
import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from slipway_serving.errors import Refused
from slipway_serving.schema import check_params, compile_inputs


def inputs_of(*columns, max_rows=10):
    specs = [ColSpec(type=kind, name=name, required=required) for name, kind, required in columns]
    return compile_inputs(ModelSignature(inputs=Schema(specs)), max_rows)


def refused(call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value


POINT = [("Coord_X", "double", True), ("Coord_Y", "double", True)]
ROW = {"Coord_X": 1.0, "Coord_Y": 2.0}


def test_rows_become_a_typed_frame_in_the_order_of_the_signature():
    frame = (
        inputs_of(*POINT).from_rows([{"Coord_Y": 2, "Coord_X": 1}, {"Coord_X": 3.5, "Coord_Y": 4}]).frame()
    )
    pd.testing.assert_frame_equal(frame, pd.DataFrame({"Coord_X": [1.0, 3.5], "Coord_Y": [2.0, 4.0]}))


def test_one_object_alone_is_one_row():
    assert len(inputs_of(*POINT).from_rows(ROW)) == 1


@pytest.mark.parametrize(
    ("rows", "code", "field"),
    [
        ([], "empty_inputs", "inputs"),
        ("text", "wrong_type", "inputs"),
        ([ROW] * 11, "too_many_rows", "inputs"),
        ([ROW, 5], "wrong_type", "inputs[1]"),
        ([ROW, {"Coord_X": 1}], "missing_column", "inputs[1].Coord_Y"),
        ([ROW, {**ROW, "Z": 1}], "unknown_column", "inputs[1].Z"),
        ([ROW, {"Coord_X": "1", "Coord_Y": 2}], "wrong_type", "inputs[1].Coord_X"),
        ([ROW, {"Coord_X": True, "Coord_Y": 2}], "wrong_type", "inputs[1].Coord_X"),
        ([ROW, {"Coord_X": [1], "Coord_Y": 2}], "wrong_type", "inputs[1].Coord_X"),
        ([ROW, {"Coord_X": None, "Coord_Y": 2}], "missing_value", "inputs[1].Coord_X"),
        ([ROW, {"Coord_X": float("nan"), "Coord_Y": 2}], "missing_value", "inputs[1].Coord_X"),
        ([ROW, {"Coord_X": float("inf"), "Coord_Y": 2}], "not_finite", "inputs[1].Coord_X"),
    ],
)
def test_what_is_wrong_is_named_with_its_row_and_column(rows, code, field):
    error = refused(inputs_of(*POINT).from_rows, rows)
    assert (error.code, error.field) == (code, field)
    assert error.message


def test_a_misspelt_column_is_pointed_out():
    error = refused(inputs_of(*POINT).from_rows, [{"coord_x": 1, "Coord_Y": 2}])
    assert error.code == "missing_column"
    assert "'coord_x' is not its name" in error.message


@pytest.mark.parametrize(
    ("kind", "good", "expected"),
    [
        ("double", 1, np.float64(1)),
        ("float", 0.5, np.float32(0.5)),
        ("long", 2**60, np.int64(2**60)),
        ("long", 3.0, np.int64(3)),
        ("integer", -(2**31), np.int32(-(2**31))),
        ("boolean", False, np.bool_(False)),
        ("string", "007", "007"),
        ("binary", "AAE=", b"\x00\x01"),
        ("datetime", "2026-01-31T12:00:00+02:00", pd.Timestamp("2026-01-31T10:00:00")),
    ],
)
def test_every_plain_type_is_read(kind, good, expected):
    frame = inputs_of(("a", kind, True)).from_rows([{"a": good}]).frame()
    assert frame["a"].iloc[0] == expected
    if isinstance(expected, np.generic):
        assert frame["a"].dtype == expected.dtype


@pytest.mark.parametrize(
    ("kind", "bad", "code"),
    [
        ("float", 1e39, "out_of_range"),
        ("long", 1.5, "wrong_type"),
        ("long", 2**63, "out_of_range"),
        ("long", float("inf"), "wrong_type"),
        ("integer", 2**31, "out_of_range"),
        ("integer", True, "wrong_type"),
        ("boolean", 1, "wrong_type"),
        ("string", 7, "wrong_type"),
        ("binary", "not base64!", "wrong_type"),
        ("datetime", "soon", "wrong_type"),
        ("datetime", 5, "wrong_type"),
    ],
)
def test_every_plain_type_refuses_what_it_is_not(kind, bad, code):
    good = {"boolean": True, "string": "a", "binary": "AA==", "datetime": "2026-01-01"}.get(kind, 1)
    error = refused(inputs_of(("a", kind, True)).from_rows, [{"a": good}, {"a": bad}])
    assert (error.code, error.field) == (code, "inputs[1].a")


@pytest.mark.parametrize("kind", ["double", "float", "string", "datetime", "binary"])
def test_a_missing_value_is_let_through_only_where_the_signature_has_the_column_as_optional(kind):
    assert inputs_of(("a", kind, False)).from_rows([{"a": None}]).frame()["a"].isna().all()
    assert refused(inputs_of(("a", kind, True)).from_rows, [{"a": None}]).code == "missing_value"


@pytest.mark.parametrize("kind", ["long", "integer", "boolean"])
def test_a_column_that_has_no_missing_value_refuses_null_even_when_optional(kind):
    assert refused(inputs_of(("a", kind, False)).from_rows, [{"a": None}]).code == "missing_value"


def test_an_optional_column_may_be_left_out():
    frame = inputs_of(("a", "double", True), ("b", "double", False)).from_rows([{"a": 1}]).frame()
    assert list(frame.columns) == ["a"]


def test_a_table_may_have_columns_the_model_does_not_know():
    frame = pd.DataFrame({"label": ["x"], "Coord_Y": [2], "Coord_X": [1]})
    assert list(inputs_of(*POINT).from_frame(frame, "csv").frame()) == ["Coord_X", "Coord_Y"]


def test_a_table_with_a_column_twice_is_refused():
    frame = pd.DataFrame([[1, 2, 3]], columns=["Coord_X", "Coord_X", "Coord_Y"])
    assert refused(inputs_of(*POINT).from_frame, frame, "csv").code == "duplicate_column"


def test_columns_without_names_are_read_by_position():
    inputs = compile_inputs(ModelSignature(inputs=Schema([ColSpec("double"), ColSpec("double")])), 10)
    assert inputs.from_rows([[1, 2], [3, 4]]).matrix().tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert refused(inputs.from_rows, [[1, 2], [3]]).field == "inputs[1]"


def test_a_tensor_of_the_wrong_shape_is_refused_in_words():
    spec = TensorSpec(np.dtype("float64"), (-1, 2))
    inputs = compile_inputs(ModelSignature(inputs=Schema([spec])), 10)
    assert inputs.from_rows([[1, 2]]).shape == (1, 2)
    for wrong in ([[1, 2, 3]], [["a", "b"]], [[1, 2], [3]]):
        assert refused(inputs.from_rows, wrong).code == "invalid_input"


def test_nested_types_are_checked_by_mlflow_and_refused_in_our_words():
    inputs = compile_inputs(ModelSignature(inputs=Schema([ColSpec(Array(DataType.double), "a")])), 10)
    assert inputs.from_rows([{"a": [1.0, 2.0]}])["a"].iloc[0] is not None
    assert refused(inputs.from_rows, [{"a": ["x"]}]).code == "invalid_input"
    assert refused(inputs.from_rows, [{"b": [1.0]}]).code == "invalid_input"


def test_a_model_without_a_signature_gets_what_was_sent():
    assert list(compile_inputs(None, 10).from_rows([{"a": 1}]).columns) == ["a"]
    assert refused(compile_inputs(None, 10).from_rows, []).code == "empty_inputs"


def test_params_are_checked_against_the_signature():
    schema = ParamSchema([ParamSpec("top", DataType.long, 1)])
    assert check_params({"top": 3}, schema, strict=True) == {"top": 3}
    assert check_params({"other": 3}, schema, strict=False) == {}
    with pytest.raises(Refused) as unknown:
        check_params({"other": 3}, schema, strict=True)
    assert unknown.value.field == "params.other"
    for wrong in ({"top": "x"}, [1], "x"):
        with pytest.raises(Refused) as caught:
            check_params(wrong, schema, strict=True)
        assert caught.value.code == "wrong_type"
