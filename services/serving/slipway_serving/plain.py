"""Predictions as JSON has a form for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from .columns import is_missing


def jsonable(predictions: Any) -> Any:
    """Predictions as orjson writes them: numeric arrays stay, a DataFrame becomes row objects, NaN null.

    Raises TypeError for what JSON has no form for.
    """
    if isinstance(predictions, np.ndarray) and predictions.ndim and predictions.dtype.kind in "biuf":
        dtype = np.float64 if predictions.dtype.kind == "f" else predictions.dtype
        return np.ascontiguousarray(predictions, dtype)
    if isinstance(predictions, pd.DataFrame):
        records = predictions.to_dict(orient="records")
        return [{str(key): plain(value) for key, value in row.items()} for row in records]
    return plain(predictions)


def plain(value: Any) -> Any:
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        value = value.tolist()
    elif hasattr(value, "toarray"):  # SciPy's sparse matrices
        value = value.toarray()
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufU":
            return value.tolist()
        value = value.tolist()
        if set(map(type, value)) == {str}:
            return value
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if is_missing(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"predictions of type {type(value).__name__} cannot be written as JSON")
