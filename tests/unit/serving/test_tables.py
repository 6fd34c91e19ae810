"""Trees as look-ups: scikit-learn's labels, its numbers but for the order of a sum, or no answer."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from slipway_serving.runtimes import FEW, Loaded, Unfit, Unsuitable, tables
from slipway_serving.table import Table

NAMES = ("a", "b", "c")
RANDOM = np.random.default_rng(7)
MATRIX = RANDOM.normal(size=(600, 3)).round(1)
HOLES = np.where(RANDOM.random(MATRIX.shape) < 0.1, np.nan, MATRIX)
# Whether a value is missing matters, so some nodes ask for nothing else: their threshold is infinite.
NUMBERS = np.exp(MATRIX[:, 0]) + 3 * np.isnan(HOLES[:, 1]) + MATRIX[:, 2] ** 2 + 0.1
EXTREME = np.where(
    RANDOM.random(MATRIX.shape) < 0.2, RANDOM.choice([-np.inf, np.inf, 1e300], MATRIX.shape), HOLES
)
LABELS = {
    "single": np.full(600, 4),
    "two": np.where(NUMBERS > 2.5, "high", "low"),
    "many": np.digitize(NUMBERS, [1, 2, 3, 4]) * 10,
}
WHOLE = np.abs(MATRIX).round()
CLASSIFIERS = {
    "tree": DecisionTreeClassifier(max_depth=5, random_state=1),
    "forest": RandomForestClassifier(20, max_depth=5, random_state=1),
    "extra trees": ExtraTreesClassifier(20, max_depth=5, random_state=1),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=1),
    "boosting from zero": GradientBoostingClassifier(n_estimators=20, init="zero", random_state=1),
    "histogram": HistGradientBoostingClassifier(max_iter=20),
}
REGRESSORS = {
    "tree": DecisionTreeRegressor(max_depth=5, random_state=1),
    "forest": RandomForestRegressor(20, max_depth=5, random_state=1),
    "extra trees": ExtraTreesRegressor(20, max_depth=5, random_state=1),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=1),
    "huber": GradientBoostingRegressor(n_estimators=20, loss="huber", random_state=1),
    "histogram": HistGradientBoostingRegressor(max_iter=20),
    "poisson": HistGradientBoostingRegressor(max_iter=20, loss="poisson"),
    "monotonic": HistGradientBoostingRegressor(max_iter=20, monotonic_cst=[1, 0, -1]),
}


@pytest.fixture(params=[tables._CELLS, 40], ids=["few groups", "a group a tree"], autouse=True)
def cells(request, monkeypatch):
    monkeypatch.setattr(tables, "_CELLS", request.param)


def fitted(model, target=NUMBERS, matrix=MATRIX):
    return model.fit(matrix, target)


def table(matrix):
    return Table(list(NAMES), matrix=matrix)


def offer(model):
    loaded = Loaded(None, model, NAMES)
    first = tables.offer(loaded)
    again = tables.offer(loaded)  # of what was kept
    rows = table(MATRIX[:5])
    assert first._margin == again._margin
    np.testing.assert_array_equal(first._raw(rows.matrix()), again._raw(rows.matrix()))
    return again


def asked(runtime, missing):
    """Rows that were trained on, and thresholds with what is next to them, in either precision."""
    at = np.concatenate([thresholds for _, thresholds, _ in runtime._columns])
    at = np.append(at[np.abs(at) < 1e30], [0.0, -0.0, 1e30, -1e30])
    near = [at, *(np.nextafter(at, end) for end in (np.inf, -np.inf))]
    narrow = at.astype(np.float32)
    near += [narrow, *(np.nextafter(narrow, np.float32(end)) for end in (np.inf, -np.inf))]
    values = np.concatenate([*near, np.full(len(at) if missing else 0, np.nan)])
    rows = np.concatenate([MATRIX[:200], np.random.default_rng(1).choice(values, (2000, 3))])
    yield rows
    yield rows[:1]
    for start in range(0, 600, FEW):
        yield rows[start : start + FEW]


def same(model, missing, classes):
    runtime = offer(model)
    answered = 0
    for rows in asked(runtime, missing):
        expected = model.predict(rows)
        try:
            got = runtime.predict(table(rows))
        except Unfit:
            assert classes
            continue
        answered += 1
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        if not classes:
            np.testing.assert_allclose(got, expected, rtol=1e-12)
            continue
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_allclose(
            runtime.predict_proba(table(rows)), model.predict_proba(rows), rtol=0, atol=1e-12
        )
    assert answered
    assert runtime.probabilities is classes


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("model", CLASSIFIERS.values(), ids=CLASSIFIERS)
def test_labels_and_probabilities_are_scikit_learns(model, labels):
    name = type(model).__name__
    if name == "GradientBoostingClassifier" and len(set(labels)) == 1:
        with pytest.raises(ValueError, match="1 class"):  # it cannot be trained on one
            model.fit(MATRIX, labels)
        return
    missing = name.startswith("Hist")
    model.fit(HOLES if missing else MATRIX, labels)
    if len(set(labels)) == 1:
        with pytest.raises(Unsuitable, match="no column"):
            offer(model)
        return
    same(model, missing, classes=True)


@pytest.mark.parametrize("model", REGRESSORS.values(), ids=REGRESSORS)
def test_numbers_are_scikit_learns(model):
    missing = type(model).__name__.startswith("Hist")
    same(model.fit(HOLES if missing else MATRIX, NUMBERS), missing, classes=False)


def test_missing_values_go_to_either_side_though_none_were_seen():
    model = HistGradientBoostingRegressor(max_iter=20).fit(MATRIX, NUMBERS)
    sides = np.concatenate([tree.nodes["missing_go_to_left"] for (tree,) in model._predictors])
    assert 0 < sides.sum() < len(sides)
    same(model, missing=True, classes=False)


def test_trained_on_infinity_it_answers_as_scikit_learn_does():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infinite values have no mean
        model = HistGradientBoostingRegressor(max_iter=20).fit(EXTREME, NUMBERS)
    same(model, missing=True, classes=False)


def test_what_comes_before_it_in_a_pipeline_is_done():
    model = make_pipeline(StandardScaler(), RandomForestRegressor(5, max_depth=4)).fit(MATRIX, NUMBERS)
    np.testing.assert_allclose(offer(model).predict(table(MATRIX)), model.predict(MATRIX), rtol=1e-12)


def test_votes_that_tie_are_counted_as_scikit_learn_counts_them():
    grid = np.array([[x, y, 0.0] for x in range(6) for y in range(6)])
    model = RandomForestClassifier(4, max_features=1, random_state=1).fit(grid, np.arange(36) % 3)
    tied = [i for i, (one, two, *_) in enumerate(np.sort(model.predict_proba(grid))[:, ::-1]) if one == two]
    assert tied
    runtime = offer(model)
    np.testing.assert_array_equal(runtime.predict(table(grid)), model.predict(grid))
    assert list(runtime.predict(table(grid[tied[:1]]))) == list(model.predict(grid[tied[:1]]))


@pytest.mark.parametrize("labels", ["two", "many"])
@pytest.mark.parametrize("name", ["forest", "boosting", "histogram"])
def test_a_decision_as_close_as_rounding_is_left_to_the_native_model(name, labels):
    model = fitted(clone(CLASSIFIERS[name]), LABELS[labels])
    runtime = offer(model)
    assert 0 < runtime._margin < 1e-9
    runtime._margin = float(np.median(runtime._sums.decided(runtime._raw(MATRIX)))) + 1e-9
    runtime._sums = replace(runtime._sums, predictions=lambda raw: np.full(len(raw), "none", object))
    answered = runtime.predict(table(MATRIX))
    own = answered == "none"
    assert 100 < own.sum() < 500
    np.testing.assert_array_equal(answered[~own], model.predict(MATRIX[~own]))
    for row, sure in zip(MATRIX[:20, None], own, strict=False):
        if sure:
            assert list(runtime.predict(table(row))) == ["none"]
        else:
            with pytest.raises(Unfit):
                runtime.predict(table(row))


@pytest.mark.parametrize("count", [1, FEW + 1])
def test_what_scikit_learn_refuses_is_left_to_it(count):
    forest = offer(RandomForestClassifier(5, max_depth=3).fit(MATRIX, LABELS["two"]))
    histogram = offer(HistGradientBoostingClassifier(max_iter=5).fit(HOLES, LABELS["two"]))
    for runtime, wrong in [
        *((forest, np.full((count, 3), value)) for value in (np.nan, np.inf, 1e39)),
        *((histogram, np.full((count, 3), value)) for value in (np.inf, -np.inf)),
        (forest, np.zeros((count, 2))),
    ]:
        for ask in (runtime.predict, runtime.predict_proba):
            with pytest.raises(Unfit):
                ask(table(wrong))


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (fitted(LinearRegression()), "not an ensemble of trees"),
        (fitted(RandomForestRegressor(2), np.stack([NUMBERS, NUMBERS], 1)), "several outputs"),
        (fitted(GradientBoostingRegressor(n_estimators=2, init=LinearRegression())), "a model of its own"),
        (
            fitted(HistGradientBoostingRegressor(max_iter=2, categorical_features=[0]), matrix=WHOLE),
            "categories",
        ),
        (fitted(HistGradientBoostingRegressor(min_samples_leaf=600)), "no column"),
    ],
)
def test_other_models_are_refused(model, reason):
    with pytest.raises(Unsuitable, match=reason):
        offer(model)


def test_trees_too_large_for_tables_are_refused_before_any_is_made(monkeypatch):
    random = np.random.default_rng(1)
    model = RandomForestRegressor(5).fit(random.normal(size=(2000, 8)), random.normal(size=2000))
    monkeypatch.setattr(tables._Group, "table", lambda *_: pytest.fail("a table was made"))
    with pytest.raises(Unsuitable, match="too large for tables"):
        tables.offer(Loaded(None, model, tuple("abcdefgh")))
    monkeypatch.setattr(tables, "_MOST_NODES", 100)
    with pytest.raises(Unsuitable, match="too many, or too large"):
        tables.offer(Loaded(None, model, tuple("abcdefgh")))
