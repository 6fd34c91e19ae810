"""Served answers are the native model's own: whatever fits the signature, alone and from many threads."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import mlflow
import numpy as np
import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlflow.models import infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from slipway_serving.answers import answer_invocation, answer_predict
from slipway_serving.errors import Refused
from slipway_serving.model import load_model
from slipway_serving.registry import Target
from slipway_serving.runtimes import Unsuitable, onnx
from slipway_serving.runtimes.convert import convert

RANDOM = np.random.default_rng(3)
# Rounded to a grid, so that distances and votes tie.
POINTS = pd.DataFrame(RANDOM.normal(scale=4, size=(300, 2)).round(1), columns=["x", "y"])
COLOURS = np.where(POINTS.sum(axis=1) + RANDOM.normal(size=300) > 0, "Red", "Blue")
PEOPLE = pd.DataFrame(
    {
        "shop": RANDOM.choice(["north", "south", "west"], 300),
        "age": RANDOM.integers(18, 90, 300),
        "income": RANDOM.normal(40_000, 9_000, 300),
    }
)
WITH_GAPS = PEOPLE.assign(income=PEOPLE["income"].where(RANDOM.random(300) > 0.1))
BUYS = PEOPLE["age"] * 500 + PEOPLE["income"] > 65_000
ONE_HOT = OneHotEncoder(sparse_output=False)

ESTIMATORS = {
    "knn": (make_pipeline(MinMaxScaler(), KNeighborsClassifier(4)), POINTS, COLOURS),
    "forest": (make_pipeline(MinMaxScaler(), RandomForestClassifier(20, random_state=1)), POINTS, COLOURS),
    "regression": (RandomForestRegressor(20, random_state=1), POINTS, POINTS["x"] * 3),
    "boosting": (GradientBoostingClassifier(n_estimators=20, random_state=1), POINTS, COLOURS),
    "mixed": (
        make_pipeline(
            make_column_transformer((ONE_HOT, ["shop"]), (StandardScaler(), ["age", "income"])),
            LogisticRegression(),
        ),
        PEOPLE,
        BUYS,
    ),
    "gaps": (
        make_pipeline(
            make_column_transformer((ONE_HOT, ["shop"]), remainder="passthrough"),
            HistGradientBoostingRegressor(max_iter=20),
        ),
        WITH_GAPS,
        PEOPLE["age"] * 2.0,
    ),
}
# What must have been found fit for each; the fastest of them depends on the machine.
FIT = {
    "knn": {"direct", "sklearn", "neighbours"},
    "forest": {"direct", "sklearn", "trees", "onnx"},
    "regression": {"direct", "sklearn", "trees"},
    "boosting": {"direct", "sklearn", "onnx"},
    "mixed": {"direct", "sklearn", "onnx"},
    "gaps": {"direct", "sklearn"},
    "custom": {"direct"},
}


class Custom(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        import numpy

        times = (params or {}).get("times", 2)
        if (model_input["x"] > 1e6).any():
            raise ValueError("too far")
        return numpy.hypot(model_input["x"], model_input["y"]) * times


def _save(kind, folder):
    if kind == "custom":
        signature = infer_signature(POINTS, np.array([1.0]), params={"times": 2})
        mlflow.pyfunc.save_model(
            folder, python_model=Custom(), signature=signature, input_example=POINTS.head(3)
        )
        return lambda frame: Custom().predict(None, frame)
    model, frame, target = ESTIMATORS[kind]
    model.fit(frame, target)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(frame, model.predict(frame)),
        input_example=frame.head(4),
        serialization_format="cloudpickle",
    )
    return model.predict


@pytest.fixture(scope="module", autouse=True)
def convert_here():
    """Conversion in this process: starting one for each model would take most of these tests' time."""

    def converted(model, kinds, seconds):
        try:
            return convert(model, kinds.split(",")[0])
        except Exception as error:
            raise Unsuitable(str(error)[:200]) from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx, "_converted", converted)
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """served(kind) -> the model as it is served, and the native one."""
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("models") / kind
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                native = _save(kind, folder)
                model = load_model(folder, Target(kind, "1", 1), 10_000)
            made[kind] = SimpleNamespace(model=model, native=native)
        return made[kind]

    return get


numbers = st.one_of(
    st.floats(-30, 30).map(lambda value: round(value, 1)),
    st.integers(-50, 50),
    st.floats(allow_nan=False, allow_infinity=False),
)
points = st.fixed_dictionaries({"x": numbers, "y": numbers})
people = st.fixed_dictionaries(
    {
        "shop": st.sampled_from(["north", "south", "west", "west", "nowhere", ""]),
        "age": st.one_of(st.integers(0, 120), st.integers(-(2**63), 2**63 - 1), st.just(30.0)),
        "income": st.floats(0, 1e5),
    }
)
with_gaps = st.fixed_dictionaries(
    {
        "shop": st.sampled_from(["north", "south", "west"]),
        "age": st.integers(0, 120),
        "income": st.one_of(st.none(), st.floats(0, 1e5)),
    }
)
ROWS = {"mixed": people, "gaps": with_gaps}


def rows_for(kind):
    return st.lists(ROWS.get(kind, points), min_size=1, max_size=5)


def ask(model, rows, form=answer_predict, key="inputs"):
    return orjson.loads(form(model, orjson.dumps({key: rows}), "application/json").body)["predictions"]


def native_answer(served, rows):
    columns = {
        spec.name: np.array([row[spec.name] for row in rows], dtype=spec.type.to_pandas())
        if spec.type.name != "string"
        else pd.array([row[spec.name] for row in rows], dtype="str")
        for spec in served.model.inputs.schema.inputs
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(served.native(pd.DataFrame(columns)))


def check(served, rows):
    try:
        expected = native_answer(served, rows)
    except ValueError:
        with pytest.raises(Refused) as caught:
            ask(served.model, rows)
        assert caught.value.code == "model_rejected_input"
        return
    answers = ask(served.model, rows)
    if expected.dtype.kind == "f":
        np.testing.assert_allclose(
            np.array(answers, float), np.where(np.isfinite(expected), expected, np.nan), 1e-6
        )
    else:
        assert answers == expected.tolist()


@pytest.mark.parametrize("kind", FIT)
def test_what_should_fit_was_found_to_agree_and_the_fastest_was_taken(served, kind):
    model = served(kind).model
    report = model.preparation
    assert report["error"] is None
    tried = {one["name"]: one for one in report["candidates"]}
    fit = {name for name, one in tried.items() if one["state"] in ("kept", "chosen")} - {"pyfunc"}
    assert fit == FIT[kind], {name: one["reason"] for name, one in tried.items()}
    assert all(tried[name]["agreed"] == tried[name]["compared"] > 4000 for name in fit)
    assert [name for name, one in tried.items() if one["state"] == "chosen"] == [model.runtime.name]
    assert model.runtime.name != "pyfunc"
    assert model.row_wise
    assert 0 < model.cost(1) <= model.cost(1000)
    assert orjson.dumps(report)


@pytest.mark.parametrize("kind", FIT)
def test_answers_are_the_native_models_own(served, kind):
    one = served(kind)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows_for(kind))
    def holds(rows):
        check(one, rows)

    holds()


@pytest.mark.parametrize("kind", FIT)
def test_answers_are_the_native_models_own_from_many_threads(served, kind):
    one = served(kind)
    frame = {"mixed": PEOPLE, "gaps": WITH_GAPS}.get(kind, POINTS)
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    expected = native_answer(one, rows).tolist()
    start = threading.Barrier(8)

    def many(first):
        start.wait()
        return [(i, ask(one.model, [rows[i]])[0]) for i in range(first, 240, 8)]

    with ThreadPoolExecutor(8) as pool:
        for part in pool.map(many, range(8)):
            for i, answer in part:
                same = answer == expected[i] or answer == pytest.approx(expected[i], rel=1e-6)
                assert same, (i, answer, expected[i])


@pytest.mark.parametrize("kind", ["knn", "gaps"])
def test_every_form_of_the_protocol_answers_alike(served, kind):
    one = served(kind)
    frame = {"gaps": WITH_GAPS}.get(kind, POINTS).head(30)
    table = frame.astype(object).where(frame.notna(), None)
    records, columns = table.to_dict("records"), table.to_dict("list")
    expected = ask(one.model, records)
    split = {"columns": list(frame), "data": table.to_numpy().tolist()}
    assert ask(one.model, records, answer_invocation, "dataframe_records") == expected
    assert ask(one.model, split, answer_invocation, "dataframe_split") == expected
    assert (
        ask(one.model, {**split, "index": list(range(30))}, answer_invocation, "dataframe_split") == expected
    )
    assert ask(one.model, records, answer_invocation, "instances") == expected
    assert ask(one.model, columns, answer_invocation, "inputs") == expected


@pytest.mark.parametrize("kind", ["knn", "forest", "mixed"])
def test_probabilities_are_the_native_models_own(served, kind):
    one = served(kind)
    frame = {"mixed": PEOPLE}.get(kind, POINTS)
    data = one.model.inputs.from_rows(frame.to_dict("records"))
    estimator = ESTIMATORS[kind][0]
    np.testing.assert_allclose(
        one.model.predict(data, probabilities=True), estimator.predict_proba(frame), atol=1e-5
    )


def test_a_model_without_probabilities_says_so(served):
    one = served("regression").model
    with pytest.raises(Refused) as caught:
        one.predict(one.inputs.from_rows([{"x": 1, "y": 2}]), probabilities=True)
    assert caught.value.code == "no_probabilities"


def test_params_reach_a_model_whose_runtime_takes_none(served):
    model = served("custom").model
    body = orjson.dumps({"inputs": [{"x": 3, "y": 4}], "params": {"times": 10}})
    assert orjson.loads(answer_predict(model, body, "").body)["predictions"] == [50.0]
    assert ask(model, [{"x": 3, "y": 4}]) == [10.0]
