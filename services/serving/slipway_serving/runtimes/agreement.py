"""Whether two predictions of the same rows are the same: labels equal, numbers within the tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

RELATIVE = 1e-6
ABSOLUTE = 1e-9
TOLERANCE = {"labels": "equal", "numbers": {"relative": RELATIVE, "absolute": ABSOLUTE}}


def rows_of(predictions: Any) -> int | None:
    """How many rows these predictions are for, None where that cannot be said."""
    if isinstance(predictions, np.ndarray):
        return len(predictions) if predictions.ndim else None
    return len(predictions) if isinstance(predictions, list | pd.DataFrame | pd.Series) else None


def agreeing(reference: Any, other: Any) -> np.ndarray | bool:
    """Per row where both are arrays or tables, else for all at once."""
    one, two = _array(reference), _array(other)
    if one is None or two is None:
        return _alike(_plain(reference), _plain(other))
    if one.shape != two.shape or one.ndim == 0:
        return False
    if one.dtype.kind in "iufb" and two.dtype.kind in "iufb":
        if one.dtype.kind in "iub" and two.dtype.kind != one.dtype.kind:
            return False
        same = np.isclose(two, one, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    elif object in (one.dtype, two.dtype):
        pairs = zip(one.ravel().tolist(), two.ravel().tolist(), strict=True)
        same = np.array([_alike(a, b) for a, b in pairs]).reshape(one.shape)
    else:
        same = one == two
    return same.reshape(len(same), -1).all(axis=1)


def _array(value: Any) -> np.ndarray | None:
    if isinstance(value, pd.DataFrame | pd.Series):
        return value.to_numpy()
    return value if isinstance(value, np.ndarray) else None


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray | np.generic | pd.Series) else value


def _alike(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_alike(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(two, list | tuple):
        return len(one) == len(two) and all(map(_alike, one, two))
    if isinstance(one, float | np.floating) and isinstance(two, float | np.floating):
        return bool(np.isclose(two, one, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True))
    if isinstance(one, np.ndarray | pd.Series | pd.DataFrame):
        return type(one) is type(two) and bool(np.all(agreeing(one, two)))
    if pd.api.types.is_scalar(one) and pd.api.types.is_scalar(two) and pd.isna(one) and pd.isna(two):
        return True
    return type(one) is type(two) and bool(one == two)
