"""Forests of scikit-learn's trees without its threads: the same trees, the same sums in the same order.

For a few rows all trees are gone down at once, a level at a time; for many, one tree after the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from . import Loaded, Unsuitable
from .native import Native
from .steps import split

_FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)
_AT_ONCE = 16  # rows


class Trees:
    name = "trees"
    takes_params = False

    def __init__(self, native: Native):
        forest = native._estimator
        self._front = native._front
        self._trees = [tree.tree_ for tree in forest.estimators_]
        self._classes = getattr(forest, "classes_", None)
        self.probabilities = self._classes is not None
        self._depth = max(tree.max_depth for tree in self._trees)
        feature = np.concatenate([tree.feature for tree in self._trees])
        leaf = feature < 0
        self._feature = np.where(leaf, 0, feature)
        self._threshold = np.concatenate([tree.threshold for tree in self._trees])
        left = np.concatenate([tree.children_left for tree in self._trees])
        right = np.concatenate([tree.children_right for tree in self._trees])
        sizes = [tree.node_count for tree in self._trees]
        # Asked is whether a row goes right.
        self._roots, self._children = in_a_row(sizes, leaf, otherwise=left, asked=right)
        self._values = np.concatenate([tree.value[:, 0, :] for tree in self._trees])

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        means = self._means(self._front(data))
        return means[:, 0] if self._classes is None else self._classes[means.argmax(axis=1)]

    def predict_proba(self, data: Any) -> Any:
        return self._means(self._front(data))

    def _means(self, matrix: np.ndarray) -> np.ndarray:
        rows = matrix.astype(np.float32)
        if len(rows) <= _AT_ONCE:
            # A running sum adds in the trees' order, as scikit-learn does; `sum` would not.
            total = np.stack([self._values[self._leaves(row)].cumsum(axis=0)[-1] for row in rows])
        else:
            total = np.zeros((len(rows), self._values.shape[1]))
            for tree in self._trees:
                total += tree.predict(rows)
        total /= len(self._trees)
        return total

    def _leaves(self, row: np.ndarray) -> np.ndarray:
        nodes = self._roots
        for _ in range(self._depth):
            right = row[self._feature[nodes]] > self._threshold[nodes]
            nodes = self._children[2 * nodes + right]
        return nodes


def in_a_row(
    sizes: list[int], leaf: np.ndarray, otherwise: np.ndarray, asked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Trees' roots and children, where their nodes stand one after the other; sizes: nodes of each tree.

    asked, otherwise: for each node its child within its tree where its question is answered with yes, and
    with no. `children[2 * node + yes]` is the next one; a leaf's is itself: going on from it stays there.
    """
    roots = np.cumsum([0, *sizes[:-1]])
    offsets, itself = np.repeat(roots, sizes), np.arange(sum(sizes))
    no, yes = (np.where(leaf, itself, child + offsets) for child in (otherwise, asked))
    return roots, np.stack((no, yes), 1).ravel()


def offer(loaded: Loaded) -> Trees:
    front, model = split(loaded)
    if type(model) not in _FORESTS:
        raise Unsuitable("it is not a forest of trees")
    if model.n_outputs_ != 1:
        raise Unsuitable("it has several outputs")
    return Trees(Native(front, model))
