"""Any MLflow flavor through MLflow's generic interface, on a DataFrame: the reference for all the others.

`Direct` leaves out what MLflow does around each call (checking again what was checked, its contexts), which
for a small model is most of the time.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from ..table import Table
from . import Loaded, Unsuitable


class Pyfunc:
    name = "pyfunc"
    takes_params = True

    def __init__(self, loaded: Loaded):
        self._pyfunc = loaded.pyfunc
        self._estimator = loaded.estimator
        self.probabilities = hasattr(loaded.estimator, "predict_proba")
        self.classes = _classes(loaded.estimator) if self.probabilities else None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        data = data.frame() if isinstance(data, Table) else data
        return self._pyfunc.predict(data, params=params) if params else self._pyfunc.predict(data)

    def predict_proba(self, data: Any) -> Any:
        return self._estimator.predict_proba(data.frame() if isinstance(data, Table) else data)


class Direct:
    name = "direct"
    takes_params = False

    def __init__(self, loaded: Loaded):
        self._predict = loaded.pyfunc._predict_fn
        self._estimator = loaded.estimator
        self.probabilities = hasattr(loaded.estimator, "predict_proba")
        takes = inspect.signature(self._predict).parameters.get("params")
        self._params = {}
        if takes is not None and takes.kind != inspect.Parameter.VAR_KEYWORD:
            self._params = {"params": _defaults(loaded.pyfunc.metadata)}

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return self._predict(data.frame() if isinstance(data, Table) else data, **self._params)

    def predict_proba(self, data: Any) -> Any:
        return self._estimator.predict_proba(data.frame() if isinstance(data, Table) else data)


def offer_direct(loaded: Loaded) -> Direct:
    if loaded.names is None:
        raise Unsuitable("only inputs of plain columns are checked here as strictly as by MLflow")
    metadata = loaded.pyfunc.metadata
    if metadata._is_type_hint_from_example():
        raise Unsuitable("MLflow converts its input by the type hint of its example")
    if (metadata.metadata or {}).get("dependencies_schemas"):
        raise Unsuitable("it needs the context that MLflow sets up around each call")
    return Direct(loaded)


def _classes(estimator: Any) -> list | None:
    """What the columns of `predict_proba` stand for; None where that is not one list of labels."""
    classes = getattr(estimator, "classes_", None)
    return classes.tolist() if isinstance(classes, np.ndarray) and classes.ndim == 1 else None


def _defaults(metadata: Any) -> dict[str, Any] | None:
    from mlflow.models.utils import _enforce_params_schema

    return _enforce_params_schema(None, metadata.get_params_schema())
