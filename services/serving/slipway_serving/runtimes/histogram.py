"""Histogram boosting of scikit-learn for a few rows: its trees gone down all at once, a level at a time.

scikit-learn starts its threads for each of the trees, which for a few rows costs far more than the trees. The
same thresholds, the same sums in the same order; for many rows it is asked itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from . import FEW, Loaded, Unsuitable
from .ensembles import Sums, ensemble_of
from .native import Native
from .steps import split
from .trees import in_a_row


class Histogram:
    name = "histogram"
    takes_params = False

    def __init__(self, native: Native, sums: Sums):
        model = native._estimator
        self._native = native
        self._front = native._front
        self._sums = sums
        self.probabilities = sums.probabilities is not None
        trees = [tree.nodes for iteration in model._predictors for tree in iteration]
        self._depth = max(int(tree["depth"].max()) for tree in trees)
        nodes = np.concatenate(trees)
        leaf = nodes["is_leaf"] == 1
        # Asked is whether a row goes left, as scikit-learn does: a NaN for a threshold sends it right.
        self._roots, self._children = in_a_row(
            [len(tree) for tree in trees], leaf, otherwise=nodes["right"], asked=nodes["left"]
        )
        self._feature = np.where(leaf, 0, nodes["feature_idx"])
        self._threshold = nodes["num_threshold"].copy()
        self._missing_left = nodes["missing_go_to_left"] == 1
        self._values = nodes["value"].copy()

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        if len(data) > FEW:
            return self._native.predict(data)
        return self._sums.predictions(self._raw(self._front(data)))

    def predict_proba(self, data: Any) -> Any:
        if len(data) > FEW:
            return self._native.predict_proba(data)
        return self._sums.probabilities(self._raw(self._front(data)))  # type: ignore[misc]

    def _raw(self, matrix: np.ndarray) -> np.ndarray:
        """Per row and output the sum over the trees, before the link."""
        values = self._values[self._leaves(matrix.astype(np.float64, copy=False))]
        values = values.reshape(len(matrix), -1, len(self._sums.baseline))
        values[:, 0] += self._sums.baseline
        # A running sum adds in the trees' order, as scikit-learn does; `sum` would not. Laid out as there:
        # with many classes the order in which their exponentials are added depends on that.
        return np.asfortranarray(values.cumsum(axis=1)[:, -1])

    def _leaves(self, matrix: np.ndarray) -> np.ndarray:
        """Each row's leaf in each tree."""
        cells = matrix.ravel()
        rows = np.arange(len(matrix))[:, None] * matrix.shape[1]
        missing = np.isnan(cells)
        some_missing = missing.any()
        nodes = np.broadcast_to(self._roots, (len(matrix), len(self._roots)))
        for _ in range(self._depth):
            places = rows + self._feature[nodes]
            left = cells[places] <= self._threshold[nodes]  # false for NaN
            if some_missing:
                left |= missing[places] & self._missing_left[nodes]
            nodes = self._children[2 * nodes + left]
        return nodes


def offer(loaded: Loaded) -> Histogram:
    front, model = split(loaded)
    if type(model) not in (HistGradientBoostingClassifier, HistGradientBoostingRegressor):
        raise Unsuitable("it is not histogram boosting")
    return Histogram(Native(front, model), ensemble_of(model).sums)
