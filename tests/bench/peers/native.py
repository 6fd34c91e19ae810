"""What the peers' servers share: the model as their own documentation would load it, and rows for it."""

from __future__ import annotations

import json
import os
import warnings
from typing import Any

import numpy as np
import pandas as pd

KIND: dict[str, Any] = json.loads(os.environ.get("BENCH_KIND", "{}"))
"""folder: the MLflow model's; sklearn: whether it is an estimator; columns; numeric: all are fractions."""


class Model:
    def __init__(self) -> None:
        # Trained on a DataFrame and asked with arrays: nothing to warn of, and warning costs time.
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        if KIND["sklearn"]:
            import mlflow.sklearn

            self._predict = mlflow.sklearn.load_model(KIND["folder"]).predict
        else:
            import mlflow.pyfunc

            self._predict = mlflow.pyfunc.load_model(KIND["folder"]).predict
        self._as_array = KIND["sklearn"] and KIND["numeric"]

    def predict(self, rows: list[list[Any]]) -> np.ndarray:
        if self._as_array:
            return np.asarray(self._predict(np.asarray(rows, np.float64)))
        frame = pd.DataFrame(rows, columns=KIND["columns"])
        return np.asarray(self._predict(frame.astype(KIND["types"])))
