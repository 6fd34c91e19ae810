"""scikit-learn's ensembles of trees, each as the same few arrays: what is summed, and what the sums mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
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
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from . import Unsuitable

_AVERAGED = (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
_GRADIENT = (GradientBoostingClassifier, GradientBoostingRegressor)
_HISTOGRAM = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)

Raw = np.ndarray
"""(rows, outputs): `baseline` and the trees' sum over `divisor`."""


@dataclass(frozen=True)
class Tree:
    """One tree's nodes, the root first; all but `value` have one entry a node.

    A row goes left where its `feature` is at most `threshold`, or is NaN and `missing_left`. value: (nodes,
    outputs), what a row that ends there adds.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray


@dataclass(frozen=True)
class Sums:
    """What makes predictions of the trees' sums.

    dtype: of a row's numbers where they are compared with thresholds; missing: NaN is among them. decided:
    how far each row is from another label; None where predictions are numbers, as `probabilities` is.
    """

    baseline: np.ndarray
    divisor: int
    dtype: type
    missing: bool
    predictions: Callable[[Raw], np.ndarray]
    probabilities: Callable[[Raw], np.ndarray] | None = None
    decided: Callable[[Raw], np.ndarray] | None = None


@dataclass(frozen=True)
class Ensemble:
    trees: list[Tree]
    sums: Sums


def ensemble_of(model: Any) -> Ensemble:
    """Raises Unsuitable for whatever is not an ensemble of trees with one output over plain numbers."""
    if type(model) in _AVERAGED:
        return _averaged(model)
    if type(model) in _GRADIENT:
        return _gradient(model)
    if type(model) in _HISTOGRAM:
        return _histogram(model)
    raise Unsuitable("it is not an ensemble of trees")


def _averaged(model: Any) -> Ensemble:
    if model.n_outputs_ != 1:
        raise Unsuitable("it has several outputs")
    estimators = getattr(model, "estimators_", [model])
    trees = [_tree(one.tree_, one.tree_.value[:, 0, :]) for one in estimators]
    baseline, classes = np.zeros(trees[0].value.shape[1]), getattr(model, "classes_", None)
    if classes is None:
        return Ensemble(trees, Sums(baseline, len(trees), np.float32, False, _only))
    best = _best(classes)
    return Ensemble(trees, Sums(baseline, len(trees), np.float32, False, best, lambda raw: raw, _lead))


def _gradient(model: Any) -> Ensemble:
    if model.init_ != "zero" and type(model.init_) not in (DummyClassifier, DummyRegressor):
        raise Unsuitable("it begins with a model of its own")
    outputs = model.n_trees_per_iteration_
    trees = [
        _tree(one.tree_, _of_one(output, outputs, model.learning_rate * one.tree_.value[:, 0, 0]))
        for iteration in model.estimators_
        for output, one in enumerate(iteration)
    ]
    baseline = model._raw_predict_init(np.zeros((1, model.n_features_in_), np.float32))[0]
    return Ensemble(trees, _boosted(model, baseline, np.float32, False, _only))


def _histogram(model: Any) -> Ensemble:
    if model.is_categorical_ is not None:
        raise Unsuitable("it has categories of its own")
    outputs = model.n_trees_per_iteration_
    trees = [
        Tree(
            feature=one.nodes["feature_idx"],
            threshold=one.nodes["num_threshold"],
            left=one.nodes["left"],
            right=one.nodes["right"],
            leaf=one.nodes["is_leaf"] == 1,
            missing_left=one.nodes["missing_go_to_left"] == 1,
            value=_of_one(output, outputs, one.nodes["value"]),
        )
        for iteration in model._predictors
        for output, one in enumerate(iteration)
    ]
    # scikit-learn adds it to zeros, which makes 0.0 of -0.0.
    baseline = np.zeros(outputs) + np.ravel(model._baseline_prediction)
    inverse = model._loss.link.inverse
    return Ensemble(trees, _boosted(model, baseline, np.float64, True, lambda raw: inverse(raw[:, 0])))


def _boosted(model: Any, baseline: np.ndarray, dtype: type, missing: bool, numbers: Any) -> Sums:
    classes = getattr(model, "classes_", None)
    if classes is None:
        return Sums(baseline, 1, dtype, missing, numbers)
    probabilities = model._loss.predict_proba
    if len(baseline) > 1:
        return Sums(baseline, 1, dtype, missing, _best(classes), probabilities, _lead)

    def sign(raw: Raw) -> np.ndarray:
        return classes[(raw[:, 0] > 0).astype(int)]

    return Sums(baseline, 1, dtype, missing, sign, probabilities, lambda raw: np.abs(raw[:, 0]))


def _tree(tree: Any, value: np.ndarray) -> Tree:
    leaf = tree.children_left < 0
    return Tree(
        feature=tree.feature,
        threshold=tree.threshold,
        left=tree.children_left,
        right=tree.children_right,
        leaf=leaf,
        missing_left=np.zeros(len(leaf), bool),
        value=value,
    )


def _of_one(output: int, outputs: int, values: np.ndarray) -> np.ndarray:
    """Values that count for one of the outputs."""
    value = np.zeros((len(values), outputs))
    value[:, output] = values
    return value


def _only(raw: Raw) -> np.ndarray:
    return raw[:, 0]


def _best(classes: np.ndarray) -> Callable[[Raw], np.ndarray]:
    return lambda raw: classes[raw.argmax(axis=1)]


def _lead(raw: Raw) -> np.ndarray:
    """By how much the best output is before the second."""
    if raw.shape[1] < 2:
        return np.full(len(raw), np.inf)
    ordered = np.partition(raw, -2, axis=1)
    return ordered[:, -1] - ordered[:, -2]
