"""Ensembles of trees as look-ups: between two neighbouring thresholds of every column the answer is one and
the same.

Trees are taken together while the cells between all of their thresholds stay few; each such group is one
table of its trees' sums. A row costs a binary search a column and a look-up a group, however many trees there
are. That suits shallow trees, and deep ones over few columns; the tables of others would be too large.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from operator import iadd
from typing import Any

import numpy as np

from . import FEW, Loaded, Unfit, Unsuitable
from .ensembles import Ensemble, Sums, Tree, ensemble_of
from .native import Native
from .steps import split

_CELLS = 16_384
"""Of a group of trees: a table that the processor's nearer caches can hold."""
_MOST_BYTES, _MOST_NODES = 16 * 1024 * 1024, 200_000
"""Of a model: what it may hold in memory, and take some seconds to make."""
_AT_ONCE = 1024  # rows


class Tables:
    name = "tables"
    takes_params = False

    def __init__(self, native: Native, sums: Sums, made: Made):
        self._native, self._sums = native, sums
        self._front = native._front
        self._columns = list(zip(made.columns, made.thresholds, made.steps, strict=True))
        self._values, self._margin = made.values, made.margin
        self.probabilities = sums.probabilities is not None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        matrix = self._front(data)
        raw = self._raw(matrix)
        predictions = self._sums.predictions(raw)
        if self._sums.decided is None:
            return predictions
        unsure = ~(self._sums.decided(raw) > self._margin)
        if unsure.any():
            if len(matrix) <= FEW:
                raise Unfit
            predictions[unsure] = self._native._estimator.predict(matrix[unsure])
        return predictions

    def predict_proba(self, data: Any) -> Any:
        return self._sums.probabilities(self._raw(self._front(data)))  # type: ignore[misc]

    def _raw(self, matrix: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (rows, outputs)"""
        rows = matrix.astype(self._sums.dtype, copy=False)
        pieces = [self._looked_up(rows[start : start + _AT_ONCE]) for start in range(0, len(rows), _AT_ONCE)]
        total = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        total /= self._sums.divisor
        total += self._sums.baseline
        return total

    def _looked_up(self, rows: np.ndarray) -> np.ndarray:
        """The trees' sums."""
        cells = reduce(
            iadd,
            (
                steps.take(thresholds.searchsorted(rows[:, column]), axis=1)
                for column, thresholds, steps in self._columns
            ),
        )
        return self._values.take(cells, axis=0).sum(axis=0)


@dataclass(frozen=True)
class Made:
    """What is made of an ensemble, once.

    columns: those that the trees ask for. thresholds: of each column, ascending; where NaN may be asked for,
    infinity comes last, and NaN is after it, as NumPy sorts. steps: of each column (groups, thresholds + 1),
    what a number that is after so many thresholds adds to the place of its group's cell. values: (all groups'
    cells, outputs). margin: sums in two orders are never further apart.
    """

    columns: list[int]
    thresholds: list[np.ndarray]
    steps: list[np.ndarray]
    values: np.ndarray
    margin: float

    def pack(self) -> bytes:
        packed = io.BytesIO()
        arrays = {f"thresholds{i}": one for i, one in enumerate(self.thresholds)}
        arrays |= {f"steps{i}": one for i, one in enumerate(self.steps)}
        np.savez_compressed(packed, columns=self.columns, values=self.values, margin=self.margin, **arrays)
        return packed.getvalue()

    @staticmethod
    def unpack(packed: bytes) -> Made:
        with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
            columns = arrays["columns"].tolist()
            return Made(
                columns,
                [arrays[f"thresholds{i}"] for i in range(len(columns))],
                [arrays[f"steps{i}"] for i in range(len(columns))],
                arrays["values"],
                float(arrays["margin"]),
            )


def offer(loaded: Loaded) -> Tables:
    front, model = split(loaded)
    ensemble = ensemble_of(model)
    if Tables.name not in loaded.converted:
        loaded.converted[Tables.name] = make(ensemble).pack()
    return Tables(Native(front, model), ensemble.sums, Made.unpack(loaded.converted[Tables.name]))


def make(ensemble: Ensemble) -> Made:
    """Raises Unsuitable where it would take too much room or time."""
    if sum(len(tree.leaf) for tree in ensemble.trees) > _MOST_NODES:
        raise Unsuitable("its trees are too many, or too large, for tables")
    missing = ensemble.sums.missing
    groups = _grouped(ensemble)
    columns = sorted({column for group in groups for column in group.thresholds})
    if not columns:
        raise Unsuitable("its trees ask for no column")
    every = [
        np.unique(np.concatenate([group.thresholds[one] for group in groups if one in group.thresholds]))
        for one in columns
    ]
    if 4 * len(groups) * sum(map(len, every)) > _MOST_BYTES:
        raise Unsuitable("its trees are too large for tables")
    steps = [
        np.stack([group.steps(column, found, missing) for group in groups])
        for column, found in zip(columns, every, strict=True)
    ]
    offsets = np.cumsum([0, *(group.cells(missing) for group in groups[:-1])], dtype=np.int32)
    steps[0] += offsets[:, None]
    thresholds = [np.append(found, np.inf) for found in every] if missing else every
    values = np.concatenate([group.table(missing) for group in groups])
    return Made(columns, thresholds, steps, values, _margin(ensemble))


def _margin(ensemble: Ensemble) -> float:
    """Twice the bound of a sum's error, for either order (Higham, Accuracy and Stability of Numerical
    Algorithms, 2002, section 4.2), and as much again for what comes after it; less than nothing where sums
    are exact, as those of votes are."""
    sums, leaves = ensemble.sums, [tree.value[tree.leaf] for tree in ensemble.trees]
    if not sums.baseline.any() and (len(leaves) == 1 or all(map(_is_coarse, leaves))):
        return -1.0
    largest = sum(np.abs(values).max() for values in leaves) / sums.divisor + np.abs(sums.baseline).max()
    return float(4 * (len(leaves) + 1) * np.finfo(np.float64).eps * largest)


def _is_coarse(values: np.ndarray) -> bool:
    """Whether they are whole, halves, quarters, ... and small, so that no sum of them is rounded."""
    steps = values * 2**16
    return bool((np.abs(values) <= 1).all() and (steps == np.round(steps)).all())


@dataclass
class _Group:
    """Trees, and by column all of their thresholds, ascending."""

    trees: list[Tree]
    thresholds: dict[int, np.ndarray] = field(default_factory=dict)

    def shape(self, missing: bool) -> tuple[int, ...]:
        """Of its table: by column the intervals between thresholds, and NaN."""
        return tuple(len(found) + 1 + missing for found in self.thresholds.values())

    def cells(self, missing: bool) -> int:
        return prod(self.shape(missing))

    def with_tree(self, tree: Tree) -> _Group:
        none, more = np.empty(0), _thresholds(tree)
        columns = sorted({*self.thresholds, *more})
        joined = {one: np.union1d(self.thresholds.get(one, none), more.get(one, none)) for one in columns}
        return _Group([*self.trees, tree], joined)

    def steps(self, column: int, every: np.ndarray, missing: bool) -> np.ndarray:
        """For a number after 0, 1, ... of all thresholds: what it adds to the place in the table."""
        steps = np.zeros(len(every) + 1 + missing, np.int32)
        own = self.thresholds.get(column)
        if own is not None:
            steps[1 : len(every) + 1] = np.isin(every, own).cumsum()
            if missing:
                steps[-1] = len(own) + 1
            steps *= prod(self.shape(missing)[list(self.thresholds).index(column) + 1 :])
        return steps

    def table(self, missing: bool) -> np.ndarray:
        """(cells, outputs): the trees' sum in each."""
        shape, outputs = self.shape(missing), self.trees[0].value.shape[1]
        table = np.zeros((*shape, outputs))
        axes = {column: axis for axis, column in enumerate(self.thresholds)}
        for tree in self.trees:
            todo = [(0, [np.arange(size) for size in shape])]
            while todo:
                node, box = todo.pop()
                if tree.leaf[node]:
                    table[np.ix_(*box)] += tree.value[node]
                    continue
                column = int(tree.feature[node])
                axis, thresholds = axes[column], self.thresholds[column]
                places = box[axis]
                left = places <= _place(thresholds, tree.threshold[node])
                left[places == len(thresholds) + 1] = tree.missing_left[node]
                for child, side in ((tree.left[node], places[left]), (tree.right[node], places[~left])):
                    if len(side):
                        todo.append((child, [*box[:axis], side, *box[axis + 1 :]]))
        return table.reshape(-1, outputs)


def _place(thresholds: np.ndarray, threshold: float) -> int:
    """The last interval that is not above a threshold: before all for NaN, which nothing is at most."""
    return -1 if np.isnan(threshold) else int(thresholds.searchsorted(threshold))


def _thresholds(tree: Tree) -> dict[int, np.ndarray]:
    asks = ~tree.leaf & ~np.isnan(tree.threshold)
    return {
        int(column): np.unique(tree.threshold[asks & (tree.feature == column)])
        for column in np.unique(tree.feature[~tree.leaf])
    }


def _grouped(ensemble: Ensemble) -> list[_Group]:
    """Raises Unsuitable where the tables would take too much room."""
    missing = ensemble.sums.missing
    most = _MOST_BYTES // (8 * len(ensemble.sums.baseline))
    groups: list[_Group] = []
    done, last = 0, _Group([])
    for tree in ensemble.trees:
        both = last.with_tree(tree)
        if last.trees and both.cells(missing) > _CELLS:
            groups.append(last)
            done += last.cells(missing)
            both = _Group([]).with_tree(tree)
        last = both
        if done + last.cells(missing) > most:
            raise Unsuitable("its trees are too large for tables")
    return [*groups, last]
