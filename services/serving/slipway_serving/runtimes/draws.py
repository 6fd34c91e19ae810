"""Inputs to compare runtimes on: around a model's example, at the edges of its signature, at its own ties.

The same seed draws the same inputs. Rows are drawn as JSON has them, so that they pass the checks that a
caller's rows pass: whole numbers where the column has fractions and 3.0 where it has whole numbers included.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mlflow.types import DataType
from sklearn.pipeline import Pipeline

from ..errors import Refused
from ..table import Table

_EDGES: dict[DataType, list[Any]] = {
    DataType.double: [
        0.0,
        -0.0,
        1,
        -1,
        5e-324,
        1e-30,
        1e7,
        -1e9,
        16777217,
        1e30,
        -1e30,
        3.4e38,
        1e39,
        -1e300,
    ],
    DataType.float: [0.0, -0.0, 1, -1, 1e-45, 1e7, 16777217, 1e30, -3.4e38],
    DataType.long: [0, 1, -1, 16777217, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)],
    DataType.integer: [0, 1, -1, 16777217, 2**31 - 1, -(2**31)],
    DataType.string: ["", " ", "unseen", "0", "é"],
    DataType.boolean: [True, False],
    DataType.datetime: ["1970-01-01T00:00:00", "2026-01-31T12:00:00"],
    DataType.binary: ["", "AA=="],
}
_NULLABLE = (DataType.double, DataType.float, DataType.string, DataType.datetime, DataType.binary)
_SCALES = (0.05, 1.0, 3.0)


class Draws:
    """ordinary(count): batches as callers send them. edges(count): single rows with extreme values."""

    def __init__(self, inputs: Any, example: Any, estimator: Any, seed: int):
        """inputs: the signature's checks; example: rows of the model's own input, checked, or None."""
        self._inputs = inputs
        self._random = np.random.default_rng(seed)
        self._estimator = estimator
        self._example = example

    def ordinary(self, count: int, size: int) -> Iterator[Any]:
        raise NotImplementedError

    def edges(self, count: int) -> Iterator[Any]:
        raise NotImplementedError


class ColumnDraws(Draws):
    def __init__(self, inputs: Any, example: Table | None, estimator: Any, seed: int):
        super().__init__(inputs, example, estimator, seed)
        self._specs = list(inputs.schema.inputs)
        self._names = inputs.names
        known = _categories(estimator)
        self._seen = [self._values(i, spec, known) for i, spec in enumerate(self._specs)]
        self._ties = self._own_ties()

    def ordinary(self, count: int, size: int) -> Iterator[Table]:
        for start in range(0, count, size):
            length = min(size, count - start)
            rows = [self._row() for _ in range(length)]
            if self._ties is not None and start // size % 2:
                picked = self._random.integers(0, len(self._ties), length // 2)
                for row, tie in zip(rows, self._ties[picked].tolist(), strict=False):
                    row[:] = [_as_json(value, spec) for value, spec in zip(tie, self._specs, strict=True)]
            yield self._inputs.from_rows(self._shaped(rows))

    def edges(self, count: int) -> Iterator[Table]:
        for number in range(count):
            row = self._row()
            for i, spec in enumerate(self._specs):
                if number % 4 == 0 or self._random.random() < 0.4:
                    choices = _EDGES[spec.type]
                    row[i] = choices[int(self._random.integers(len(choices)))]
                elif not spec.required and spec.type in _NULLABLE and self._random.random() < 0.5:
                    row[i] = None
            try:
                yield self._inputs.from_rows(self._shaped([row]))
            except Refused:
                continue

    def _shaped(self, rows: list[list[Any]]) -> list[Any]:
        if not self._inputs.named:
            return rows
        return [dict(zip(self._names, row, strict=True)) for row in rows]

    def _row(self) -> list[Any]:
        return [self._cell(i, spec) for i, spec in enumerate(self._specs)]

    def _cell(self, i: int, spec: Any) -> Any:
        seen, random = self._seen[i], self._random
        if not spec.required and spec.type in _NULLABLE and random.random() < 0.1:
            return None
        value = seen[int(random.integers(len(seen)))]
        if spec.type in (DataType.double, DataType.float):
            spread = max(abs(value), float(np.ptp(seen)), 1.0)
            value = value + random.normal() * spread * _SCALES[int(random.integers(3))]
            kind = random.random()
            if kind < 0.1:
                return int(value) if abs(value) < 2**62 else value
            return float(np.float32(value)) if kind < 0.2 or spec.type == DataType.float else float(value)
        if spec.type in (DataType.long, DataType.integer):
            spread = max(float(np.ptp(seen)), 3.0)
            value = int(np.clip(round(value + random.normal() * spread), -(2**31), 2**31 - 1))
            return float(value) if random.random() < 0.1 else value
        return value

    def _values(self, i: int, spec: Any, known: dict[Any, list[Any]]) -> list[Any]:
        """What the example, and for texts the encoders, have in this column."""
        found: list[Any] = []
        if self._example is not None and self._example.columns[i] is not None:
            column = self._example.columns[i]
            if spec.type == DataType.datetime:
                found = [moment.isoformat() for moment in column if moment == moment]
            elif spec.type != DataType.binary:
                found = [value for value in column.tolist() if value == value]
        if spec.type == DataType.string:
            found = sorted({*found, *known.get(self._names[i], [])})
        if spec.type == DataType.boolean:
            found = [True, False]
        return found or {
            DataType.string: ["a", "b"],
            DataType.datetime: ["2026-01-31"],
            DataType.binary: ["AA=="],
        }.get(spec.type, [0, 1])

    def _own_ties(self) -> np.ndarray | None:
        """Points where the model is undecided: trees' thresholds, trained points and half-way between."""
        if any(spec.type not in (DataType.double, DataType.float) for spec in self._specs):
            return None
        steps = (
            [step for _, step in self._estimator.steps]
            if isinstance(self._estimator, Pipeline)
            else [self._estimator]
        )
        try:
            points = _edge_points(steps[-1], self._random)
            for step in steps[-2::-1]:
                points = step.inverse_transform(points)
            points = np.asarray(points, np.float64)
        except Exception:
            return None  # not every model has such points, not every step can be undone
        return points if points.ndim == 2 and points.shape[1] == len(self._specs) and len(points) else None


class TensorDraws(Draws):
    """One tensor of rows of numbers."""

    @staticmethod
    def can_draw(inputs: Any) -> bool:
        schema = inputs.schema
        if schema is None or not schema.is_tensor_spec() or len(schema.inputs) != 1:
            return False
        (spec,) = schema.inputs
        return spec.name is None and len(spec.shape) == 2 and spec.shape[1] > 0 and spec.type.kind in "fi"

    def __init__(self, inputs: Any, example: np.ndarray | None, estimator: Any, seed: int):
        super().__init__(inputs, example, estimator, seed)
        (spec,) = inputs.schema.inputs
        self._dtype, self._width = spec.type, spec.shape[1]

    def ordinary(self, count: int, size: int) -> Iterator[np.ndarray]:
        for start in range(0, count, size):
            yield self._rows(min(size, count - start))

    def edges(self, count: int) -> Iterator[np.ndarray]:
        choices = _EDGES[DataType.double if self._dtype.kind == "f" else DataType.integer]
        for _ in range(count):
            row = self._rows(1)
            row[0, self._random.integers(self._width)] = choices[int(self._random.integers(len(choices)))]
            if np.isfinite(row).all():
                yield row

    def _rows(self, length: int) -> np.ndarray:
        random = self._random
        if self._example is not None and len(self._example):
            base = self._example[random.integers(0, len(self._example), length)].astype(np.float64)
        else:
            base = np.zeros((length, self._width))
        spread = np.maximum(np.abs(base), 1.0)
        drawn = base + random.normal(size=base.shape) * spread * random.choice(_SCALES, (length, 1))
        return (drawn if self._dtype.kind == "f" else np.rint(drawn)).astype(self._dtype)


def _as_json(value: float, spec: Any) -> float:
    return float(np.float32(value)) if spec.type == DataType.float else value


def _categories(estimator: Any) -> dict[Any, list[str]]:
    """Texts that encoders within the model know, by column."""
    found: dict[Any, list[str]] = {}
    first = estimator.steps[0][1] if isinstance(estimator, Pipeline) else estimator
    for _, one, columns in getattr(first, "transformers_", []):
        last = one.steps[-1][1] if isinstance(one, Pipeline) else one
        columns = [columns] if isinstance(columns, str) else columns
        for column, values in zip(columns, getattr(last, "categories_", []), strict=False):
            found[column] = [value for value in values.tolist() if isinstance(value, str)]
    return found


def _edge_points(model: Any, random: np.random.Generator) -> np.ndarray:
    if hasattr(model, "_fit_X"):
        points = np.asarray(model._fit_X)[:500]
        pairs = points[random.integers(0, len(points), (500, 2))]
        return np.concatenate([points, pairs.mean(axis=1)])
    width = model.n_features_in_
    thresholds: list[list[float]] = [[] for _ in range(width)]
    for tree in np.ravel(getattr(model, "estimators_", [model]))[:20]:
        inside = tree.tree_
        for feature, threshold in zip(inside.feature.tolist(), inside.threshold.tolist(), strict=True):
            if feature >= 0:
                thresholds[feature].append(threshold)
    filled = [np.array(column or [0.0]) for column in thresholds]
    return np.stack([column[random.integers(0, len(column), 1000)] for column in filled], axis=1)
