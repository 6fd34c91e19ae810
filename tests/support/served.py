"""A kind of model as it is served beside the same model natively, and rows to ask both with."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from hypothesis import strategies as st
from slipway_serving.errors import Refused
from slipway_serving.model import ServedModel, load_model
from slipway_serving.registry import Target

from tests.support.model_kinds import Kind, kind

MAX_ROWS = 10_000
Row = dict[str, Any]


@dataclass(frozen=True)
class Served:
    kind: Kind
    model: ServedModel

    def native(self, rows: list[Row]) -> Any:
        """What the model answers in a notebook to these rows in the signature's types; raises as it does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(self.kind.predict(self.frame(rows)))

    def frame(self, rows: list[Row]) -> pd.DataFrame:
        columns = {}
        for spec in self.kind.signature.inputs:
            values = [row[spec.name] for row in rows]
            as_text = spec.type.name == "string"
            columns[spec.name] = (
                pd.array(values, dtype="str") if as_text else np.array(values, dtype=spec.type.to_pandas())
            )
        return pd.DataFrame(columns)

    def rows(self, count: int) -> list[Row]:
        """Of those it was trained on, as JSON has them."""
        frame = self.kind.frame.head(count).astype(object)
        return frame.where(frame.notna(), None).to_dict("records")

    def expect(self, rows: list[Row]) -> Any:
        """The native answer, or the code of the error that a caller gets where the model raises."""
        try:
            return self.native(rows)
        except ValueError:
            return "model_rejected_input"

    def draw(self) -> st.SearchStrategy[Row]:
        """Rows that fit the signature: trained ones, the model's own ties, the edges of each type."""
        near = ties(self.kind)
        return st.fixed_dictionaries(
            {
                spec.name: _values(spec, self.kind.frame[spec.name], near.get(spec.name, []))
                for spec in self.kind.signature.inputs
            }
        )


def serve(name: str, folder: Path) -> Served:
    one = kind(name)
    one.save(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Served(one, load_model(folder, Target(name, "1", 1), MAX_ROWS))


def same(expected: Any, got: Any) -> bool:
    """got: what was answered, read from JSON, or the Refused that was raised."""
    if isinstance(expected, str):
        return isinstance(got, Refused) and got.code == expected
    if isinstance(got, Exception) or len(got) != len(expected):
        return False
    if expected.dtype.kind == "f":
        finite = np.where(np.isfinite(expected), expected, np.nan)  # JSON has null for the others
        return bool(np.allclose(np.array(got, float), finite, rtol=1e-6, atol=1e-9, equal_nan=True))
    return got == expected.tolist()


def body(rows: list[Row]) -> bytes:
    return orjson.dumps({"inputs": rows})


def predictions(answer: Any) -> list[Any]:
    return orjson.loads(answer.body)["predictions"]


def ties(one: Kind) -> dict[str, list[float]]:
    """Where a model over fractions alone is undecided: its trees' thresholds and the numbers beside them."""
    estimator = one.model.steps[-1][1] if hasattr(one.model, "steps") else one.model
    trees = np.ravel(getattr(estimator, "estimators_", []))[:10]
    if not len(trees) or not all(dtype == np.float64 for dtype in one.frame.dtypes):
        return {}
    inside = [tree.tree_ for tree in trees]
    features = np.concatenate([tree.feature for tree in inside])
    thresholds = np.concatenate([tree.threshold for tree in inside])
    found = {}
    for i, name in enumerate(one.frame.columns):
        points = np.zeros((int(np.sum(features == i)), len(one.frame.columns)))
        points[:, i] = thresholds[features == i]
        raw = (one.model[:-1].inverse_transform(points) if estimator is not one.model else points)[:40, i]
        beside = [np.nextafter(raw, np.inf), np.nextafter(raw, -np.inf)]
        found[name] = np.concatenate([raw, *beside]).tolist()
    return found


def _values(spec: Any, column: pd.Series, near: list[float]) -> st.SearchStrategy[Any]:
    trained = st.sampled_from(column.dropna().unique()[:50].tolist())
    kind_of = spec.type.name
    if kind_of == "string":
        values = trained | st.sampled_from(["", "unseen", " north", "NORTH", "é"])
    elif kind_of == "boolean":
        values = st.booleans()
    elif kind_of in ("long", "integer"):
        bits = 63 if kind_of == "long" else 31
        values = (
            trained
            | trained.map(float)  # JSON's 3.0 is a whole number
            | st.integers(-(2**bits), 2**bits - 1)
            | st.sampled_from([0, -1, 2**24 + 1, 2**bits - 1, -(2**bits)])
        )
    else:
        width = 64 if kind_of == "double" else 32
        values = (
            trained
            | st.floats(-30, 30, width=32).map(lambda value: round(value, 1))
            | st.integers(-(2**53) - 1, 2**53 + 1)
            | st.floats(allow_nan=False, allow_infinity=False, width=width)
            | st.sampled_from([0.0, -0.0, 1e-45, 3.4e38, -3.4e38])
        )
        values = values | st.sampled_from(near) if near else values
    return values if spec.required else values | st.none()
