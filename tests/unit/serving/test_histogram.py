"""Histogram boosting's own runtime: scikit-learn's very bits, or no answer."""

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from slipway_serving.runtimes import FEW, Loaded, Unfit, Unsuitable, histogram
from slipway_serving.table import Table

NAMES = ("a", "b", "c")
RANDOM = np.random.default_rng(7)
MATRIX = RANDOM.normal(size=(600, 3)).round(1)
MATRIX[RANDOM.random(MATRIX.shape) < 0.1] = np.nan
# Whether a value is missing matters, so some nodes ask for nothing else: their threshold is infinite.
TARGET = np.exp(np.nan_to_num(MATRIX[:, 0])) + 3 * np.isnan(MATRIX[:, 1]) + 0.1
# It may have been trained on these too.
EXTREMES = RANDOM.choice([-np.inf, np.inf, 1e300, -0.0], MATRIX.shape)
EXTREME = np.where(RANDOM.random(MATRIX.shape) < 0.2, EXTREMES, MATRIX)

REGRESSORS = {
    **{loss: {"loss": loss} for loss in ("squared_error", "absolute_error", "gamma", "poisson")},
    "quantile": {"loss": "quantile", "quantile": 0.8},
    "monotonic": {"monotonic_cst": [1, 0, -1]},
    "stumps": {"max_depth": 1},
    "no split": {"min_samples_leaf": 600},
}
CLASSES = {
    "single": np.full(600, 4),
    "two": np.where(TARGET > 1.5, "high", "low"),
    "three": RANDOM.integers(0, 3, 600),
    "many": RANDOM.integers(0, 12, 600) * 10,
}


def table(matrix):
    return Table(list(NAMES), matrix=matrix)


def offer(model):
    return histogram.offer(Loaded(None, model, NAMES))


def asked(model):
    """Batches of 1 to FEW rows, and one of more: trained ones, all thresholds and what is next to them."""
    nodes = np.concatenate([tree.nodes for iteration in model._predictors for tree in iteration])
    at = nodes["num_threshold"][nodes["is_leaf"] == 0]
    at = np.append(at[np.isfinite(at)], [0.0, -0.0, 5e-324, 1e300, -1e300])
    values = np.concatenate(
        [at, np.nextafter(at, np.inf), np.nextafter(at, -np.inf), np.full(len(at), np.nan)]
    )
    random = np.random.default_rng(1)
    rows = np.concatenate([MATRIX[:200], random.choice(values, (600, 3)), np.full((1, 3), np.nan)])
    for size in (1, 3, FEW):
        for start in range(0, min(len(rows), 80 * size), size):
            yield rows[start : start + size]
    yield rows


def bits(answer):
    return answer.dtype, answer.shape, answer.tobytes()


def same_bits(model, probabilities=False):
    runtime = offer(model)
    assert runtime.probabilities is probabilities
    for rows in asked(model):
        assert bits(runtime.predict(table(rows))) == bits(model.predict(rows))
        if probabilities:
            assert bits(runtime.predict_proba(table(rows))) == bits(model.predict_proba(rows))


@pytest.mark.parametrize("options", REGRESSORS.values(), ids=REGRESSORS)
def test_numbers_are_scikit_learns_very_bits(options):
    same_bits(HistGradientBoostingRegressor(max_iter=20, **options).fit(MATRIX, TARGET))


@pytest.mark.parametrize("target", CLASSES.values(), ids=CLASSES)
def test_classes_and_probabilities_are_scikit_learns_very_bits(target):
    same_bits(HistGradientBoostingClassifier(max_iter=20).fit(MATRIX, target), probabilities=True)


def test_missing_values_go_to_either_side_though_none_were_seen():
    model = HistGradientBoostingRegressor(max_iter=20).fit(np.nan_to_num(MATRIX), TARGET)
    sides = np.concatenate([tree.nodes["missing_go_to_left"] for (tree,) in model._predictors])
    assert 0 < sides.sum() < len(sides)
    same_bits(model)


def test_trained_on_infinity_it_answers_as_scikit_learn_does():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infinite values have no mean
        same_bits(HistGradientBoostingRegressor(max_iter=20).fit(EXTREME, TARGET))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_types_of_number_are_made_float64_as_there(dtype):
    rows = np.nan_to_num(MATRIX * 1000)[:40].astype(dtype)
    model = HistGradientBoostingRegressor(max_iter=20).fit(rows, TARGET[:40])
    assert bits(offer(model).predict(table(rows))) == bits(model.predict(rows))


def test_what_comes_before_it_in_a_pipeline_is_done():
    model = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=20)).fit(MATRIX, TARGET)
    rows = MATRIX[:40]
    assert bits(offer(model).predict(table(rows))) == bits(model.predict(rows))


@pytest.mark.parametrize("count", [1, FEW, FEW + 1])
def test_infinity_and_another_width_are_left_to_the_reference(count):
    runtime = offer(HistGradientBoostingClassifier(max_iter=5).fit(MATRIX, CLASSES["two"]))
    for wrong in (np.full((count, 3), np.inf), np.full((count, 3), -np.inf), np.zeros((count, 2))):
        for ask in (runtime.predict, runtime.predict_proba):
            with pytest.raises(Unfit):
                ask(table(wrong))


def test_categories_are_refused_and_other_models_too():
    whole = np.nan_to_num(MATRIX).round()
    shops = pd.DataFrame({"a": pd.Categorical(CLASSES["two"]), "b": whole[:, 1], "c": whole[:, 2]})
    boosting = HistGradientBoostingRegressor
    refused = {
        "categories": [
            boosting(max_iter=2, categorical_features=[0]).fit(np.abs(whole), TARGET),
            boosting(max_iter=2, categorical_features="from_dtype").fit(shops, TARGET),
        ],
        "not histogram boosting": [
            GradientBoostingRegressor(n_estimators=2).fit(whole, TARGET),
            RandomForestClassifier(2).fit(whole, CLASSES["two"]),
            type("Own", (boosting,), {})(max_iter=2).fit(whole, TARGET),
        ],
    }
    for reason, models in refused.items():
        for model in models:
            with pytest.raises(Unsuitable, match=reason):
                offer(model)


def test_a_mask_without_categories_is_no_refusal():
    same_bits(HistGradientBoostingRegressor(max_iter=5, categorical_features=[False] * 3).fit(MATRIX, TARGET))
