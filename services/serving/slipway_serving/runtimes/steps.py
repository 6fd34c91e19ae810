"""What comes before a pipeline's last estimator, on arrays and in scikit-learn's own precision.

The usual scalers and encoders are a line of arithmetic or a look-up each; scikit-learn spends a hundred times
that on checking its input, which has been checked already. Whatever is not known here is asked natively.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
)

from ..table import Table, side_by_side
from . import Loaded, Unfit, Unsuitable

Step = Callable[[np.ndarray], np.ndarray]
Front = Callable[[Any], np.ndarray]
"""A Table or a matrix -> the matrix that the last estimator gets; raises Unfit."""


def split(loaded: Loaded) -> tuple[Front, Any]:
    """The model as what comes before its last estimator, and that; raises Unsuitable."""
    if loaded.estimator is None:
        raise Unsuitable("it is not a scikit-learn estimator answering with its own predict")
    estimators = _flat(loaded.estimator)
    first, last = estimators[0], estimators[-1]
    if len(estimators) > 1 and isinstance(first, ColumnTransformer):
        if loaded.names is None:
            raise Unsuitable("its ColumnTransformer needs columns, its signature has none")
        front = _columns(first, loaded.names)
        steps = [step_of(one) for one in estimators[1:-1]]
    else:
        _check_names(first, loaded.names)
        front = _matrix
        steps = [step_of(one) for one in estimators[:-1]]
    return (_chain(front, steps) if steps else front), nameless(last)


def step_of(transformer: Any) -> Step:
    """One fitted transformer as a function of a matrix."""
    known = _KNOWN.get(type(transformer))
    step = known(transformer) if known else None
    return step or _native(transformer)


def nameless(estimator: Any) -> Any:
    """A shallow copy that does not ask for the columns' names and uses one thread."""
    estimator = copy.copy(estimator)
    if isinstance(estimator, BaseEstimator):
        estimator.__dict__.pop("feature_names_in_", None)
        if getattr(estimator, "n_jobs", None) not in (None, 1):
            estimator.n_jobs = 1
    return estimator


def _flat(estimator: Any) -> list[Any]:
    if not isinstance(estimator, Pipeline):
        return [estimator]
    return [
        one
        for _, step in estimator.steps
        if step is not None and step != "passthrough"
        for one in _flat(step)
    ]


def _check_names(first: Any, names: tuple[Any, ...] | None) -> None:
    fitted = getattr(first, "feature_names_in_", None)
    if fitted is not None and names is not None and list(fitted) != list(names):
        raise Unsuitable("its signature has the columns in another order than it was trained with")


def _matrix(data: Any) -> np.ndarray:
    matrix = data.matrix() if isinstance(data, Table) else data
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise Unfit
    if matrix is data and not np.isfinite(matrix).all():  # a Table was checked, a tensor was not
        raise Unfit
    return matrix


def _chain(front: Any, steps: list[Step]) -> Any:
    def run(data: Any) -> np.ndarray:
        matrix = front(data)
        for step in steps:
            matrix = step(matrix)
        return matrix

    return run


def _native(transformer: Any) -> Step:
    transform = nameless(transformer).transform

    def step(matrix: np.ndarray) -> np.ndarray:
        out = transform(matrix)
        return out.toarray() if hasattr(out, "toarray") else np.asarray(out)

    return step


def _in_float64(transformer: Any, compute: Step) -> Step:
    """scikit-learn computes in float32 where it is given that: then it does so itself."""
    native = _native(transformer)

    def step(matrix: np.ndarray) -> np.ndarray:
        if matrix.dtype == np.float64:
            return compute(matrix)
        if matrix.dtype.kind in "iu":
            return compute(matrix.astype(np.float64))
        return native(matrix)

    return step


def _min_max(scaler: MinMaxScaler) -> Step:
    scale, least = scaler.scale_, scaler.min_
    if not scaler.clip:
        return _in_float64(scaler, lambda matrix: matrix * scale + least)
    low, high = scaler.feature_range
    return _in_float64(scaler, lambda matrix: np.clip(matrix * scale + least, low, high))


def _standard(scaler: StandardScaler) -> Step:
    return _shifted(scaler, scaler.mean_ if scaler.with_mean else None, scaler.scale_)


def _robust(scaler: RobustScaler) -> Step:
    centre = scaler.center_ if scaler.with_centering else None
    return _shifted(scaler, centre, scaler.scale_ if scaler.with_scaling else None)


def _max_abs(scaler: MaxAbsScaler) -> Step | None:
    return None if getattr(scaler, "clip", False) else _shifted(scaler, None, scaler.scale_)


def _shifted(scaler: Any, centre: np.ndarray | None, scale: np.ndarray | None) -> Step:
    def compute(matrix: np.ndarray) -> np.ndarray:
        if centre is not None:
            matrix = matrix - centre
        return matrix if scale is None else matrix / scale

    return _in_float64(scaler, compute)


def _impute(imputer: SimpleImputer) -> Step | None:
    fill, missing = imputer.statistics_, imputer.missing_values
    if not isinstance(missing, float) or missing == missing or imputer.indicator_ is not None:
        return None
    if fill.dtype.kind != "f" or np.isnan(fill).any():
        return None
    return _in_float64(imputer, lambda matrix: np.where(np.isnan(matrix), fill, matrix))


def _identity(transformer: FunctionTransformer) -> Step | None:
    return (lambda matrix: matrix) if transformer.func is None and not transformer.validate else None


_NAN = object()


def _key(value: Any) -> Any:
    return _NAN if value != value else value


def _places(encoder: Any) -> list[dict[Any, int]]:
    return [{_key(value): i for i, value in enumerate(found.tolist())} for found in encoder.categories_]


def _codes(column: np.ndarray, places: dict[Any, int]) -> np.ndarray:
    """Each value's place, -1 where it has none."""
    values = column.tolist()
    codes = np.array([places.get(value, -1) for value in values], dtype=np.intp)
    if (nan := places.get(_NAN)) is not None:
        codes[[value != value for value in values]] = nan
    return codes


def _one_hot(encoder: OneHotEncoder) -> Step | None:
    if encoder.drop_idx_ is not None or encoder._infrequent_enabled:
        return None
    if encoder.handle_unknown not in ("error", "ignore"):
        return None
    strict, places = encoder.handle_unknown == "error", _places(encoder)
    starts = np.cumsum([0, *map(len, places)]).tolist()

    def step(matrix: np.ndarray) -> np.ndarray:
        out = np.zeros((len(matrix), starts[-1]), encoder.dtype)
        for j, (start, found) in enumerate(zip(starts, places, strict=False)):
            codes = _codes(matrix[:, j], found)
            known = codes >= 0
            if strict and not known.all():
                raise Unfit
            out[known.nonzero()[0], start + codes[known]] = 1
        return out

    return step


def _ordinal(encoder: OrdinalEncoder) -> Step | None:
    if encoder._infrequent_enabled or encoder.handle_unknown not in ("error", "use_encoded_value"):
        return None
    places, missing = _places(encoder), encoder.encoded_missing_value
    unknown = encoder.unknown_value if encoder.handle_unknown == "use_encoded_value" else None

    def step(matrix: np.ndarray) -> np.ndarray:
        out = np.empty(matrix.shape, encoder.dtype)
        for j, found in enumerate(places):
            codes = _codes(matrix[:, j], found)
            column = out[:, j]
            column[:] = codes
            if (stranger := codes < 0).any():
                if unknown is None:
                    raise Unfit
                column[stranger] = unknown
            if (nan := found.get(_NAN)) is not None:
                column[codes == nan] = missing
        return out

    return step


_KNOWN: dict[type, Callable[[Any], Step | None]] = {
    MinMaxScaler: _min_max,
    StandardScaler: _standard,
    RobustScaler: _robust,
    MaxAbsScaler: _max_abs,
    SimpleImputer: _impute,
    FunctionTransformer: _identity,
    OneHotEncoder: _one_hot,
    OrdinalEncoder: _ordinal,
}


def _columns(transformer: ColumnTransformer, names: tuple[Any, ...]) -> Front:
    """Each block of a ColumnTransformer by itself, side by side."""
    fitted = list(getattr(transformer, "feature_names_in_", names))
    if not set(fitted) <= set(names):
        raise Unsuitable("its signature lacks columns it was trained with")
    blocks = []
    for name, one, _ in transformer.transformers_:
        indices = [names.index(fitted[i]) for i in transformer._transformer_to_input_indices[name]]
        if not indices or (isinstance(one, str) and one == "drop"):
            continue
        weight = (transformer.transformer_weights or {}).get(name)
        if weight is not None:
            raise Unsuitable("its ColumnTransformer has weights")
        parts = [] if isinstance(one, str) else [step_of(part) for part in _flat(one)]
        blocks.append((indices, parts))
    if not blocks:
        raise Unsuitable("its ColumnTransformer passes nothing on")

    def front(table: Any) -> np.ndarray:
        if not isinstance(table, Table) or not table.whole:
            raise Unfit
        columns, out = table.columns, []
        for indices, parts in blocks:
            block = _block([columns[i] for i in indices])
            for part in parts:
                block = part(block)
            out.append(block)
        return out[0] if len(out) == 1 else np.concatenate(out, axis=1)

    return front


def _block(columns: list[Any]) -> np.ndarray:
    numbers = side_by_side(columns)
    if numbers is not None:
        return numbers
    block = np.empty((len(columns[0]), len(columns)), object)
    for i, column in enumerate(columns):
        block[:, i] = column
    return block
