"""The Open Inference Protocol: tensors in and out, as JSON and as bytes, for every kind of signature."""

import struct
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mlflow.models import ModelSignature
from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from slipway_serving.answers import Request
from slipway_serving.errors import Refused
from slipway_serving.open_inference import answer_infer
from slipway_serving.schema import compile_inputs
from slipway_serving.tensors import (
    DATATYPES,
    Tensor,
    from_bytes,
    from_json,
    of_predictions,
    tensor_of,
    to_bytes,
)

POINT = Schema([ColSpec("double", "x"), ColSpec("double", "y")])
X = {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.0]}
Y = {"name": "y", "shape": [2, 1], "datatype": "INT64", "data": [[3], [4]]}


def model(schema=POINT, answer=None, params=None, probabilities=False, outputs=None):
    """A model that keeps what it was asked."""
    asked = SimpleNamespace()

    def predict(data, params, strict, probabilities):
        asked.data, asked.params, asked.probabilities = data, params, probabilities
        if probabilities:
            return np.array([[0.25, 0.75], [1.0, 0.0]])
        return ["Red", "Blue"] if answer is None else answer

    signature = ModelSignature(inputs=schema) if schema is not None else None
    return SimpleNamespace(
        name="m",
        version="3",
        inputs=compile_inputs(signature, 100),
        params_schema=params,
        probabilities=probabilities,
        classes=["Blue", "Red"],
        signature={"outputs": outputs},
        predict=predict,
        asked=asked,
    )


def ask(model, document, rest=b"", json_length=None):
    body = orjson.dumps(document)
    if rest and json_length is None:
        json_length = b"%d" % len(body)
    return answer_infer.in_one_go(model, Request(body + rest, "application/json", b"", json_length))


def document_of(answer):
    length = dict(answer.headers).get(b"inference-header-content-length")
    return orjson.loads(answer.body if length is None else answer.body[: int(length)])


def refused(call, *args):
    with pytest.raises(Refused) as caught:
        call(*args)
    return caught.value


def test_a_tensor_for_each_column_in_any_order_and_named_outputs():
    one = model()
    answer = document_of(ask(one, {"id": "42", "inputs": [Y, X], "outputs": [{"name": "predictions"}]}))
    assert one.asked.data.matrix().tolist() == [[1.0, 3.0], [2.0, 4.0]]
    assert answer == {
        "model_name": "m",
        "model_version": "3",
        "id": "42",
        "outputs": [{"name": "predictions", "datatype": "BYTES", "shape": [2], "data": ["Red", "Blue"]}],
    }


def test_one_tensor_of_all_columns_side_by_side_row_by_row():
    one = model()
    ask(one, {"inputs": [{"name": "any", "shape": [2, 2], "datatype": "FP32", "data": [1, 2, 3, 4]}]})
    assert one.asked.data.matrix().tolist() == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("kind", "datatype", "data", "expected"),
    [
        ("boolean", "BOOL", [True], True),
        ("integer", "INT8", [-5], -5),
        ("integer", "UINT16", [65535], 65535),
        ("long", "UINT64", [2**62], 2**62),
        ("long", "FP64", [3.0], 3),
        ("float", "FP32", [0.5], 0.5),
        ("double", "UINT8", [7], 7.0),
        ("string", "BYTES", ["häh"], "häh"),
        ("binary", "BYTES", ["AAE="], b"\x00\x01"),
        ("datetime", "BYTES", ["2026-01-31T12:00:00"], np.datetime64("2026-01-31T12:00:00")),
    ],
)
def test_every_datatype_reaches_its_column(kind, datatype, data, expected):
    one = model(Schema([ColSpec(kind, "a")]))
    ask(one, {"inputs": [{"name": "a", "shape": [1], "datatype": datatype, "data": data}]})
    assert one.asked.data.frame()["a"].tolist() == [expected]


@pytest.mark.parametrize(
    ("changed", "code", "field"),
    [
        ({"inputs": []}, "missing_field", "inputs"),
        ({"inputs": [1]}, "wrong_type", "inputs[0]"),
        ({"id": 5}, "wrong_type", "id"),
        ({"inputs": [X]}, "missing_column", "rows.y"),
        ({"inputs": [X, X]}, "duplicate_column", "inputs"),
        ({"inputs": [X, Y, {**X, "name": "z"}]}, "unknown_column", "inputs[2].name"),
        ({"inputs": [{**X, "name": 1}, Y]}, "wrong_type", "inputs[0].name"),
        ({"inputs": [{**X, "datatype": "FLOAT"}, Y]}, "wrong_type", "inputs[0].datatype"),
        ({"inputs": [{**X, "datatype": [1]}, Y]}, "wrong_type", "inputs[0].datatype"),
        ({"inputs": [{**X, "shape": 2}, Y]}, "wrong_type", "inputs[0].shape"),
        ({"inputs": [{**X, "shape": [True]}, Y]}, "wrong_type", "inputs[0].shape"),
        ({"inputs": [{**X, "shape": []}, Y]}, "wrong_type", "inputs[0].shape"),
        ({"inputs": [{**X, "shape": [3]}, Y]}, "wrong_shape", "inputs[0].data"),
        ({"inputs": [{**X, "shape": [1, 2]}, Y]}, "wrong_shape", "inputs[0].shape"),
        ({"inputs": [{**X, "shape": [10**18]}, Y]}, "wrong_shape", "inputs[0].data"),
        ({"inputs": [{**X, "data": [1.0, "b"]}, Y]}, "wrong_type", "inputs[0].data[1]"),
        ({"inputs": [{**X, "data": [1.0, None]}, Y]}, "missing_value", "rows[1].x"),
        ({"inputs": [{**X, "data": {}}, Y]}, "wrong_type", "inputs[0].data"),
        ({"inputs": [X, {**Y, "data": [[3, 4]]}]}, "wrong_shape", "inputs[1].data"),
        ({"inputs": [X, {**Y, "data": [[3], 4]}]}, "wrong_shape", "inputs[1].data"),
        ({"inputs": [X, {**Y, "data": [[[3]], [[4]]]}]}, "wrong_shape", "inputs[1].data"),
        ({"inputs": [X, {**Y, "data": [[3], [1.5]]}]}, "wrong_type", "inputs[1].data[1]"),
        ({"inputs": [X, {**Y, "datatype": "UINT8", "data": [3, 256]}]}, "out_of_range", "inputs[1].data[1]"),
        ({"inputs": [{**X, "datatype": "FP16"}, Y]}, "wrong_type", "inputs[0]"),
        ({"inputs": [{"name": "x", "shape": [2], "datatype": "FP64"}, Y]}, "missing_field", "inputs[0]"),
        ({"inputs": [{**X, "shape": [101], "data": [1.0] * 101}]}, "too_many_rows", "rows"),
        ({"inputs": [{**X, "shape": [0], "data": []}]}, "empty_inputs", "rows"),
        (
            {"inputs": [{**X, "name": "m", "shape": [1, 3], "data": [1.0] * 3}]},
            "wrong_shape",
            "inputs[0].shape",
        ),
        ({"inputs": [X, Y], "outputs": [{"name": "else"}]}, "unknown_output", "outputs"),
        ({"inputs": [X, Y], "outputs": [1]}, "wrong_type", "outputs[0]"),
        ({"inputs": [X, Y], "outputs": 1}, "wrong_type", "outputs"),
        ({"inputs": [X, Y], "parameters": 1}, "wrong_type", "the body.parameters"),
        ({"inputs": [X, Y], "parameters": {"probabilities": 1}}, "wrong_type", "parameters.probabilities"),
    ],
)
def test_what_is_wrong_is_named(changed, code, field):
    error = refused(ask, model(), {"inputs": [X, Y], **changed})
    assert (error.code, error.field) == (code, field)
    assert error.message


@given(
    st.sampled_from([name for name in DATATYPES if name not in ("BYTES", "FP16", "BOOL")]).flatmap(
        lambda name: st.tuples(
            st.just(name),
            arrays.arrays(DATATYPES[name], arrays.array_shapes(max_dims=3, max_side=3), elements={}),
        )
    )
)
def test_json_nested_or_flat_and_bytes_are_the_same_tensor(case):
    datatype, array = case
    array = np.nan_to_num(array, posinf=0, neginf=0) if array.dtype.kind == "f" else array
    made = [
        from_json("t", datatype, array.shape, array.tolist(), "t"),
        from_json("t", datatype, array.shape, array.reshape(-1).tolist(), "t"),
        from_bytes(
            "t", datatype, array.shape, memoryview(array.astype(array.dtype.newbyteorder("<")).tobytes()), "t"
        ),
    ]
    for tensor in made:
        assert tensor.array().dtype == array.dtype
        assert np.array_equal(tensor.array(), array)
        assert to_bytes(tensor) == to_bytes(made[0])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_texts_go_there_and_back_as_bytes(texts):
    sent = memoryview(to_bytes(Tensor("t", "BYTES", (len(texts),), texts)))
    assert from_bytes("t", "BYTES", (len(texts),), sent, "t").values == texts


def test_binary_tensors_after_the_json_in_and_out():
    one = model(answer=np.array([1.5, np.nan]))
    bare = [
        {**{key: X[key] for key in ("name", "shape", "datatype")}, "parameters": {"binary_data_size": 16}},
        {**{key: Y[key] for key in ("name", "shape", "datatype")}, "parameters": {"binary_data_size": 16}},
    ]
    rest = struct.pack("<2d", 1.0, 2.0) + struct.pack("<2q", 3, 4)
    answer = ask(one, {"inputs": bare, "parameters": {"binary_data_output": True}}, rest)
    assert one.asked.data.matrix().tolist() == [[1.0, 3.0], [2.0, 4.0]]
    length = int(dict(answer.headers)[b"inference-header-content-length"])
    (output,) = document_of(answer)["outputs"]
    assert output == {
        "name": "predictions",
        "datatype": "FP64",
        "shape": [2],
        "parameters": {"binary_data_size": 16},
    }
    assert np.array_equal(np.frombuffer(answer.body[length:], "<f8"), [1.5, np.nan], equal_nan=True)
    assert answer.media == b"application/octet-stream"
    wanted = [{"name": "predictions", "parameters": {"binary_data": False}}]
    mixed = ask(one, {"inputs": bare, "outputs": wanted, "parameters": {"binary_data_output": True}}, rest)
    assert document_of(mixed)["outputs"][0]["data"] == [1.5, None]


def test_wrong_lengths_of_binary_tensors_are_refused():
    tensor = {"name": "x", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
    document = {"inputs": [tensor, Y]}
    for rest, length in ((b"1" * 15, None), (b"1" * 17, None), (b"1" * 16, b"9999"), (b"1" * 16, b"-1")):
        assert refused(ask, model(), document, rest, length).code in ("wrong_shape", "bad_request")
    texts = {"name": "a", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 6}}
    for rest in (b"\x03\0\0\0ab", b"\x01\0\0\0ab", b"\xff\xff\xff\xffab"):
        error = refused(ask, model(Schema([ColSpec("string", "a")])), {"inputs": [texts]}, rest)
        assert error.code == "wrong_shape"


def test_half_floats_come_as_bytes():
    one = model(Schema([ColSpec("double", "a")]))
    tensor = {"name": "a", "shape": [1], "datatype": "FP16", "parameters": {"binary_data_size": 2}}
    ask(one, {"inputs": [tensor]}, np.float16(1.5).tobytes())
    assert one.asked.data.frame()["a"].tolist() == [1.5]


def test_probabilities_and_the_models_own_params_by_parameters():
    one = model(probabilities=True)
    answer = document_of(ask(one, {"inputs": [X, Y], "parameters": {"probabilities": True, "other": 1}}))
    assert (one.asked.probabilities, one.asked.params) == (True, None)
    assert answer["outputs"] == [
        {"name": "predictions", "datatype": "FP64", "shape": [2, 2], "data": [0.25, 0.75, 1.0, 0.0]},
        {"name": "classes", "datatype": "BYTES", "shape": [2], "data": ["Blue", "Red"]},
    ]
    own = model(params=ParamSchema([ParamSpec("probabilities", DataType.boolean, False)]))
    ask(own, {"inputs": [X, Y], "parameters": {"probabilities": True}})
    assert (own.asked.probabilities, own.asked.params) == (False, {"probabilities": True})


def test_models_of_tensors_of_lists_and_without_a_signature():
    pair = {"name": "any", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}
    unnamed = model(Schema([TensorSpec(np.dtype("float32"), (-1, 2))]))
    ask(unnamed, {"inputs": [pair]})
    assert unnamed.asked.data.dtype == np.float32
    assert refused(ask, unnamed, {"inputs": [{**pair, "shape": [4, 1]}]}).code == "invalid_input"
    assert refused(ask, unnamed, {"inputs": [pair, X]}).code == "wrong_shape"
    named = model(Schema([TensorSpec(np.dtype("float64"), (-1, 2), "a")]))
    ask(named, {"inputs": [{**pair, "name": "a"}]})
    assert named.asked.data["a"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    lists = model(Schema([ColSpec(Array(DataType.double), "a")]))
    ask(lists, {"inputs": [{**pair, "name": "a"}]})
    assert [list(row) for row in lists.asked.data["a"]] == [[1.0, 2.0], [3.0, 4.0]]
    anything = model(schema=None)
    ask(anything, {"inputs": [pair]})
    assert anything.asked.data.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    ask(anything, {"inputs": [X]})
    assert anything.asked.data["x"].tolist() == [1.0, 2.0]
    assert (
        refused(ask, anything, {"inputs": [X, {**Y, "shape": [1, 2], "data": [3, 4]}]}).code == "wrong_shape"
    )


@pytest.mark.parametrize(
    ("predictions", "datatype", "shape"),
    [
        (np.array([1, 2]), "INT64", (2,)),
        (np.array([[1.5], [2.5]]), "FP64", (2, 1)),
        (np.array([True]), "BOOL", (1,)),
        ([True, False], "BOOL", (2,)),
        ([1, 2], "INT64", (2,)),
        ([1, 2.5, None], "FP64", (3,)),
        ([2**63], "UINT64", (1,)),
        ([2**63, -1], "BYTES", (2,)),
        (["a", "b"], "BYTES", (2,)),
        (["a", None], "BYTES", (2,)),
        ([[1], {"a": 2}], "BYTES", (2,)),
        (5, "INT64", (1,)),
    ],
)
def test_predictions_of_every_kind_are_a_tensor_that_holds_them(predictions, datatype, shape):
    tensor = of_predictions("p", predictions)
    assert (tensor.datatype, tensor.shape) == (datatype, shape)
    assert to_bytes(tensor)


def test_a_table_is_a_tensor_for_each_column_and_one_output_has_the_name_of_its_signature():
    table = model(answer=[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    outputs = document_of(ask(table, {"inputs": [X, Y]}))["outputs"]
    assert [(one["name"], one["datatype"], one["data"]) for one in outputs] == [
        ("a", "INT64", [1, 2]),
        ("b", "BYTES", ["x", "y"]),
    ]
    named = model(outputs=[{"name": "colour", "type": "string"}])
    assert document_of(ask(named, {"inputs": [X, Y]}))["outputs"][0]["name"] == "colour"


def test_metadata_of_signatures():
    assert tensor_of({"name": "a", "type": "long"}, "x") == {"name": "a", "datatype": "INT64", "shape": [-1]}
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 4]}}
    assert tensor_of(spec, "x") == {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    spec["tensor-spec"]["dtype"] = "str"
    assert tensor_of(spec, "x")["datatype"] == "BYTES"
