"""Choosing a runtime: a wrong one is never taken, a fast one is, and what goes wrong fails no load."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from slipway_serving.runtimes import Loaded, Unfit, Unsuitable, agreement, neighbours, preparation, trees
from slipway_serving.table import Table


class Pyfunc:
    """The native model: sums a row, slowly, and refuses what is over 1000."""

    def __init__(self, predict=None):
        self._predict_fn = predict or self._sum

    def predict(self, frame, params=None):
        time.sleep(0.001)
        return self._predict_fn(frame)

    def _sum(self, frame):
        if (frame > 1000).any(axis=None):
            raise ValueError("too large")
        return frame.to_numpy().sum(axis=1)


class FakeDraws:
    def ordinary(self, count, size):
        random = np.random.default_rng(1)
        for _ in range(2):
            yield Table(["a", "b"], matrix=random.normal(size=(128, 2)))

    def edges(self, count):
        yield Table(["a", "b"], matrix=np.array([[1e9, 0.0]]))


class Fake:
    name, takes_params, probabilities = "fake", False, False

    def __init__(self, predict):
        self._predict = predict

    def predict(self, data, params=None):
        matrix = data.matrix()
        if (matrix > 1000).any():
            raise Unfit
        return self._predict(matrix)


def right(matrix):
    return matrix.sum(axis=1)


def candidates(monkeypatch, **offers):
    monkeypatch.setattr(preparation, "CANDIDATES", offers)


def prepare(pyfunc=None, draw=FakeDraws, **more):
    return preparation.prepare(Loaded(pyfunc or Pyfunc()), draw, **more)


def trial(prepared, name):
    return next(one for one in prepared.report["candidates"] if one["name"] == name)


def test_a_runtime_that_agrees_and_is_faster_is_taken_with_its_figures(monkeypatch):
    candidates(monkeypatch, fake=lambda loaded: Fake(right))
    prepared = prepare()
    assert (prepared.runtime.name, prepared.reference.name) == ("fake", "pyfunc")
    told = trial(prepared, "fake")
    assert (told["state"], told["agreed"], told["compared"], told["handed_back"]) == ("chosen", 256, 256, 1)
    assert set(told["microseconds_per_row"]) == {"1", "64"}
    assert trial(prepared, "pyfunc")["state"] == "kept"
    assert prepared.row_wise


@pytest.mark.parametrize(
    "wrong",
    [
        lambda matrix: right(matrix) * 1.00001,
        lambda matrix: right(matrix).astype(int),
        lambda matrix: np.where(matrix[:, 0] > 2.3, 0, right(matrix)),
        lambda matrix: right(matrix)[:, None],
        lambda matrix: right(matrix)[:1],
    ],
    ids=["a little off", "whole", "a few rows", "shape", "length"],
)
def test_a_runtime_that_differs_is_dropped_with_the_reason(monkeypatch, wrong):
    candidates(monkeypatch, fake=lambda loaded: Fake(wrong))
    prepared = prepare()
    assert prepared.runtime.name == "pyfunc"
    assert trial(prepared, "fake")["state"] == "dropped"
    assert "differ" in trial(prepared, "fake")["reason"]


def test_a_runtime_that_answers_what_the_native_model_refuses_is_dropped(monkeypatch):
    fake = Fake(right)
    fake.predict = lambda data, params=None: right(data.matrix())
    candidates(monkeypatch, fake=lambda loaded: fake)
    assert "refuses (ValueError: too large)" in trial(prepare(), "fake")["reason"]


def test_a_runtime_that_mostly_raises_is_no_use(monkeypatch):
    def broken(matrix):
        raise RuntimeError("no such operator")

    candidates(monkeypatch, fake=lambda loaded: Fake(broken))
    assert trial(prepare(), "fake")["reason"] == "it cannot run most inputs (RuntimeError: no such operator)"


def test_a_runtime_that_is_hardly_faster_does_not_replace_the_native_one(monkeypatch):
    def slow(matrix):
        time.sleep(0.002)
        return right(matrix)

    candidates(monkeypatch, fake=lambda loaded: Fake(slow))
    prepared = prepare()
    assert (prepared.runtime.name, trial(prepared, "fake")["state"]) == ("pyfunc", "kept")


def test_an_operator_can_pin_a_runtime_but_not_one_that_is_wrong(monkeypatch):
    candidates(monkeypatch, fake=lambda loaded: Fake(right), wrong=lambda loaded: Fake(lambda m: m[:, 0]))
    assert prepare(pin="pyfunc").runtime.name == "pyfunc"
    pinned = prepare(pin="fake")
    assert (pinned.runtime.name, pinned.report["pinned"]) == ("fake", "fake")
    assert trial(pinned, "wrong")["reason"] == "fake is pinned"
    assert prepare(pin="wrong").runtime.name == "pyfunc"
    unknown = prepare(pin="warp")
    assert unknown.runtime.name == "fake"
    assert "there is no runtime 'warp'" in unknown.report["error"]


def test_a_preparation_that_takes_too_long_ends_with_what_it_has(monkeypatch):
    def crawling(matrix):
        time.sleep(0.2)
        return right(matrix)

    candidates(monkeypatch, fake=lambda loaded: Fake(right), crawling=lambda loaded: Fake(crawling))
    prepared = prepare(limit=0.5)
    assert prepared.runtime.name == "fake"
    assert "time limit of 0.5 s" in prepared.report["error"]
    assert "time limit" in trial(prepared, "crawling")["reason"]


@pytest.mark.parametrize("draw", [lambda: None, lambda: 1 / 0])
def test_without_inputs_to_compare_on_the_native_model_is_used(monkeypatch, draw):
    candidates(monkeypatch, fake=lambda loaded: Fake(right))
    prepared = prepare(draw=draw)
    assert prepared.runtime.name == "pyfunc"
    assert prepared.report["error"]
    assert trial(prepared, "fake")["state"] == "not tried"


def test_a_model_that_is_not_the_same_twice_is_compared_with_nothing(monkeypatch):
    random = np.random.default_rng()
    candidates(monkeypatch, fake=lambda loaded: Fake(right))
    prepared = prepare(Pyfunc(lambda frame: random.random(len(frame))))
    assert prepared.runtime.name == "pyfunc"
    assert "differently" in prepared.report["error"]


def test_a_model_whose_rows_depend_on_each_other_is_found_out(monkeypatch):
    candidates(monkeypatch)
    assert not prepare(Pyfunc(lambda frame: (frame - frame.mean()).to_numpy().sum(axis=1))).row_wise
    assert not prepare(Pyfunc(lambda frame: frame.sum().to_numpy())).row_wise


GRID = np.stack(np.meshgrid(np.arange(6.0), np.arange(6.0)), -1).reshape(-1, 2)
SPLITS = np.concatenate([GRID, GRID + 0.5, np.nextafter(GRID + 0.5, 9), np.nextafter(GRID + 0.5, -9)])


def table(matrix):
    return Table(["a", "b"], matrix=matrix)


def loaded(estimator):
    return Loaded(None, estimator, ("a", "b"))


@pytest.mark.parametrize("k", [1, 4, 36])
@pytest.mark.parametrize("method", ["kd_tree", "ball_tree", "brute"])
@pytest.mark.parametrize("classes", [2, 3])
def test_neighbours_at_the_same_distance_are_scikit_learns(k, method, classes):
    model = KNeighborsClassifier(k, algorithm=method).fit(GRID, np.arange(36) % classes)
    runtime = neighbours.offer(loaded(model))
    assert (runtime.predict(table(SPLITS)) == model.predict(SPLITS)).all()
    np.testing.assert_array_equal(runtime.predict_proba(table(SPLITS)), model.predict_proba(SPLITS))
    for row in SPLITS[:40, None]:
        try:
            assert runtime.predict(table(row)) == model.predict(row)
        except Unfit:
            continue


def test_neighbours_of_a_regression_are_scikit_learns():
    model = KNeighborsRegressor(3).fit(GRID, np.arange(36.0))
    runtime = neighbours.offer(loaded(model))
    np.testing.assert_allclose(runtime.predict(table(SPLITS)), model.predict(SPLITS))


@pytest.mark.parametrize(
    "model",
    [
        KNeighborsClassifier(weights="distance"),
        KNeighborsClassifier(metric="manhattan"),
        RandomForestClassifier(3),
    ],
)
def test_neighbours_refuse_what_they_cannot_do_exactly(model):
    with pytest.raises(Unsuitable):
        neighbours.offer(loaded(model.fit(GRID, np.arange(36) % 2)))


@pytest.mark.parametrize("forest", [RandomForestClassifier, RandomForestRegressor])
def test_trees_give_scikit_learns_very_bits(forest):
    model = forest(30, random_state=1).fit(GRID, np.arange(36) % 3)
    runtime = trees.offer(loaded(model))
    np.testing.assert_array_equal(runtime.predict(table(SPLITS)), model.predict(SPLITS))
    for row in SPLITS[:, None]:
        assert runtime.predict(table(row)) == model.predict(row)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (np.array(["a", "b"]), np.array(["a", "b"], object), True),
        (np.array([1.0, np.nan]), np.array([1.0 + 1e-9, np.nan]), True),
        (np.array([1.0]), np.array([1.00001]), False),
        (np.array([1]), np.array([1.0]), False),
        ([{"a": 1.0, "b": None}], [{"a": 1.0, "b": None}], True),
        ([{"a": 1.0}], [{"a": 2.0}], False),
        (["x"], ["x", "y"], False),
        (SimpleNamespace(a=1), SimpleNamespace(a=2), False),
    ],
)
def test_predictions_agree_when_labels_are_equal_and_numbers_close(one, other, same):
    assert bool(np.all(agreement.agreeing(one, other))) is same
