"""Nearest neighbours by SciPy's k-d tree, where the search and the vote are the whole model.

Only uniform weights and Euclidean distance. Which of several points at the same distance is a neighbour, the
two libraries decide differently: where the last neighbour and the first that is none are as far away as each
other, the native model is asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from . import FEW, Loaded, Unfit, Unsuitable
from .native import Native
from .steps import split

# Sums of squares in another order differ in their last digits; scikit-learn's brute force, which subtracts
# large numbers, in more of them.
_SAME = 1e-12
_SAME_BRUTE = 1e-7
# From so many rows on, rows that are close to each other are searched for one after the other: what one has
# brought into the processor's cache, the next one uses.
_MANY = 256


class Neighbours:
    name = "neighbours"
    takes_params = False

    def __init__(self, native: Native):
        model = native._estimator
        self._native = native
        self._front = native._front
        self._tree = cKDTree(np.ascontiguousarray(model._fit_X))
        self._k = model.n_neighbors
        # One more than needed, to see whether the last one has a rival.
        self._asked = min(self._k + 1, len(model._fit_X))
        self._same = 1 + (_SAME_BRUTE if model._fit_method == "brute" else _SAME)
        self._reach = float(np.abs(model._fit_X).max()) if model._fit_method == "brute" else 0.0
        self._classes = getattr(model, "classes_", None)
        self._targets = np.asarray(model._y)
        self.probabilities = self._classes is not None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        matrix = self._front(data)
        near, unsure = self._near(matrix)
        if self._classes is not None:
            out = self._classes[self._votes(near).argmax(axis=1)]
        else:
            out = self._targets[near].mean(axis=1)
        if unsure is not None:
            out[unsure] = self._native._estimator.predict(matrix[unsure])
        return out

    def predict_proba(self, data: Any) -> Any:
        matrix = self._front(data)
        near, unsure = self._near(matrix)
        out = self._votes(near) / self._k
        if unsure is not None:
            out[unsure] = self._native._estimator.predict_proba(matrix[unsure])
        return out

    def _near(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        distances, near = self._query(matrix)
        if self._asked == 1:
            distances, near = distances[:, None], near[:, None]
        if self._asked == self._k:
            return near, None
        last, rival = distances[:, -2], distances[:, -1]
        unsure = rival <= last * self._same
        if self._reach:
            unsure |= rival - last <= (self._reach + np.abs(matrix).max(axis=1)) * _SAME_BRUTE
        if not unsure.any():
            return near[:, :-1], None
        if len(matrix) <= FEW:
            raise Unfit
        return near[:, :-1], unsure

    def _query(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(matrix) < _MANY:
            return self._tree.query(matrix, self._asked)
        order = np.argsort(matrix[:, 0])
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        distances, near = self._tree.query(matrix[order], self._asked)
        return distances[back], near[back]

    def _votes(self, near: np.ndarray) -> np.ndarray:
        count, codes = len(self._classes), self._targets[near]
        if count == 2:
            second = codes.sum(axis=1)
            return np.stack((self._k - second, second), axis=1)
        rows = np.arange(len(codes))[:, None] * count
        return np.bincount((codes + rows).ravel(), minlength=len(codes) * count).reshape(-1, count)


def offer(loaded: Loaded) -> Neighbours:
    front, model = split(loaded)
    if type(model) not in (KNeighborsClassifier, KNeighborsRegressor):
        raise Unsuitable("it is not a model of nearest neighbours")
    if model.weights != "uniform":
        raise Unsuitable("its neighbours have different weights")
    if model.effective_metric_ != "euclidean":
        raise Unsuitable(f"its distance is {model.effective_metric_}, not Euclidean")
    if (
        not isinstance(model._fit_X, np.ndarray)
        or model._fit_X.dtype != np.float64
        or np.asarray(model._y).ndim != 1
    ):
        raise Unsuitable("its points are not plain float64, or it has several outputs")
    return Neighbours(Native(front, model))
