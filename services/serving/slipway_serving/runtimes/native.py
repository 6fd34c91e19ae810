"""The scikit-learn estimator itself, on arrays: no DataFrame, no second look at what was checked already."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import config_context

from . import Loaded, Unfit
from .steps import Front, split

# Trained on a DataFrame, asked with arrays in the same order: nothing to warn of, and warning costs time.
warnings.filterwarnings("ignore", message="X does not have valid feature names")


class Native:
    name = "sklearn"
    takes_params = False

    def __init__(self, front: Front, estimator: Any):
        self._front = checked(front, estimator)
        self._estimator = estimator
        self.probabilities = hasattr(estimator, "predict_proba")

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        matrix = self._front(data)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return self._estimator.predict(matrix)

    def predict_proba(self, data: Any) -> Any:
        matrix = self._front(data)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            return self._estimator.predict_proba(matrix)


def offer(loaded: Loaded) -> Native:
    return Native(*split(loaded))


def checked(front: Front, estimator: Any) -> Callable[[Any], np.ndarray]:
    """The front, refusing what scikit-learn would refuse at the estimator's door: NaN, infinity, too large.

    Only histogram boosting is given NaN here: other trees take it or not by what they have seen.
    """
    width = getattr(estimator, "n_features_in_", None)
    nan = "_hist_gradient_boosting" in type(estimator).__module__
    largest = float(np.finfo(np.float32).max) if rounds_to_float32(estimator) else None

    def run(data: Any) -> np.ndarray:
        matrix = front(data)
        if matrix.dtype == object:
            matrix = matrix.astype(np.float64)
        if width is not None and matrix.shape[1] != width:
            raise Unfit
        if largest is None:
            sound = np.isfinite(matrix.sum()) or (nan and not np.isinf(matrix).any())
        else:
            sound = -largest <= matrix.min() and matrix.max() <= largest  # false for NaN too
        if not sound:
            raise Unfit
        return matrix

    return run


def rounds_to_float32(estimator: Any) -> bool:
    """scikit-learn's trees round their input to float32; its histogram boosting does not."""
    module = type(estimator).__module__
    return module.startswith(("sklearn.tree.", "sklearn.ensemble._forest", "sklearn.ensemble._gb"))
