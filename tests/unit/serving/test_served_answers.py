"""Served answers are the native model's own, whatever fits the signature: one request at a time."""

import mlflow
import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mlflow.types import ColSpec, Schema
from slipway_serving.answers import answer_invocation, answer_predict
from slipway_serving.errors import Refused
from slipway_serving.model import load_model
from slipway_serving.registry import Target

from tests.support.model_kinds import TESTED
from tests.support.served import body, predictions, same

# What must at least have been found fit for each; the fastest of them depends on the machine.
FIT = {
    "knn": {"direct", "sklearn", "neighbours"},
    "small-forest": {"direct", "sklearn", "tables", "trees", "onnx"},
    "boosting": {"direct", "sklearn", "tables", "onnx"},
    "histogram": {"direct", "sklearn", "tables", "histogram"},
    "mixed": {"direct", "sklearn", "onnx"},
    "custom": {"direct"},
    "strict": {"direct", "sklearn", "onnx"},
    "wholes": {"direct", "sklearn", "tables", "trees"},
    "narrow": {"direct", "sklearn"},
}


def ask(one, rows, form=answer_predict, key="inputs"):
    try:
        return predictions(form(one.model, orjson.dumps({key: rows}), "application/json"))
    except Refused as error:
        return error


@pytest.mark.parametrize("name", TESTED)
def test_what_should_fit_was_found_to_agree_and_the_fastest_was_taken(served, name):
    model = served(name).model
    report = model.preparation
    assert report["error"] is None
    tried = {one["name"]: one for one in report["candidates"]}
    fit = {name for name, one in tried.items() if one["state"] in ("kept", "chosen")}
    assert FIT[name] <= fit, {name: one["reason"] for name, one in tried.items()}
    assert all(tried[name]["agreed"] == tried[name]["compared"] > 4000 for name in fit - {"pyfunc"})
    assert [name for name, one in tried.items() if one["state"] == "chosen"] == [model.runtime.name]
    assert model.runtime.name != "pyfunc"
    assert model.row_wise
    assert 0 < model.cost(1) <= model.cost(1000)
    assert orjson.dumps(report)


@pytest.mark.parametrize("name", TESTED)
def test_answers_are_the_native_models_own(served, name):
    one = served(name)

    @settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(one.draw(), min_size=1, max_size=5))
    @example(one.rows(100))
    def holds(rows):
        expected, got = one.expect(rows), ask(one, rows)
        assert same(expected, got), (rows, expected, got)

    holds()


@pytest.mark.parametrize("name", ["knn", "histogram", "strict"])
def test_every_form_of_the_protocol_answers_alike(served, name):
    one = served(name)
    records = one.rows(30)
    table = pd.DataFrame(records, dtype=object)
    columns, split = table.to_dict("list"), {"columns": list(table), "data": table.to_numpy().tolist()}
    expected = ask(one, records)
    assert len(expected) == 30
    assert ask(one, records, answer_invocation, "dataframe_records") == expected
    assert ask(one, split, answer_invocation, "dataframe_split") == expected
    assert ask(one, {**split, "index": list(range(30))}, answer_invocation, "dataframe_split") == expected
    assert ask(one, records, answer_invocation, "instances") == expected
    assert ask(one, columns, answer_invocation, "inputs") == expected


@pytest.mark.parametrize("name", ["knn", "small-forest", "boosting", "mixed", "strict"])
def test_probabilities_are_the_native_models_own(served, name):
    one = served(name)
    data = one.model.inputs.from_rows(one.rows(300))
    np.testing.assert_allclose(
        one.model.predict(data, probabilities=True),
        one.kind.model.predict_proba(one.kind.frame.head(300)),
        atol=1e-5,
    )


def test_a_model_without_probabilities_says_so(served):
    one = served("wholes")
    with pytest.raises(Refused) as caught:
        one.model.predict(one.model.inputs.from_rows(one.rows(1)), probabilities=True)
    assert caught.value.code == "no_probabilities"


@pytest.mark.parametrize(
    ("name", "column", "value", "code"),
    [
        ("knn", "Coord_X", "1.5", "wrong_type"),
        ("knn", "Coord_X", True, "wrong_type"),
        ("knn", "Coord_X", None, "missing_value"),
        ("knn", "Coord_X", [1.5], "wrong_type"),
        ("narrow", "Coord_X", 1e39, "out_of_range"),
        ("mixed", "age", 30.5, "wrong_type"),
        ("mixed", "age", False, "wrong_type"),
        ("mixed", "age", 2**63, "out_of_range"),
        ("mixed", "age", None, "missing_value"),
        ("mixed", "shop", 7, "wrong_type"),
        ("strict", "member", 1, "wrong_type"),
        ("strict", "member", "true", "wrong_type"),
        ("wholes", "narrow", 2**31, "out_of_range"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_never_bent_into_shape(served, name, column, value, code):
    one = served(name)
    good, other = one.rows(2)
    got = ask(one, [good, {**other, column: value}])
    assert (got.code, got.field) == (code, f"inputs[1].{column}")


def test_params_reach_a_model_whose_runtime_takes_none(served):
    one = served("custom")
    asked = orjson.dumps({"inputs": [{"Coord_X": 3, "Coord_Y": 4}], "params": {"times": 10}})
    assert predictions(answer_predict(one.model, asked, "")) == [50.0]
    assert predictions(answer_predict(one.model, body([{"Coord_X": 3, "Coord_Y": 4}]), "")) == [10.0]


TYPES = {
    "flag": (st.booleans(), "boolean"),
    "small": (st.integers(-(2**31), 2**31 - 1), "integer"),
    "whole": (st.integers(-(2**63), 2**63 - 1), "long"),
    "narrow": (st.floats(allow_nan=False, allow_infinity=False, width=32), "float"),
    "wide": (st.none() | st.floats(allow_nan=False, allow_infinity=False), "double"),
    "text": (st.none() | st.text(max_size=5), "string"),
    "day": (
        st.none() | st.datetimes(pd.Timestamp(1700, 1, 1), pd.Timestamp(2200, 1, 1)).map(str),
        "datetime",
    ),
}


def test_a_model_of_ones_own_is_given_the_very_values_and_types_that_mlflow_gives_it(tmp_path):
    class Echo(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            types = [f"{name}: {dtype}" for name, dtype in model_input.dtypes.items()]
            rows = model_input.astype(object).to_numpy().tolist()
            return [repr((types, [None if value != value else value for value in row])) for row in rows]

    schema = Schema(
        [
            ColSpec(kind, name, required=name not in ("wide", "text", "day"))
            for name, (_, kind) in TYPES.items()
        ]
    )
    signature = mlflow.models.ModelSignature(schema, Schema([ColSpec("string")]))
    mlflow.pyfunc.save_model(tmp_path / "echo", python_model=Echo(), signature=signature)
    model = load_model(tmp_path / "echo", Target("echo", "1", 1), 100)
    mlflows_own = mlflow.pyfunc.load_model(str(tmp_path / "echo"))

    def dated(frame):
        return frame.assign(day=pd.to_datetime(frame["day"], format="mixed").astype("datetime64[ns]"))

    row = st.fixed_dictionaries({name: values for name, (values, _) in TYPES.items()})

    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(st.lists(row, min_size=1, max_size=3))
    def holds(rows):
        frame = dated(pd.DataFrame(rows)).astype(
            {"small": np.int32, "narrow": np.float32, "wide": np.float64, "text": "str"}
        )
        expected = mlflows_own.predict(frame)
        assert predictions(answer_predict(model, body(rows), "")) == expected

    holds()
