"""One version of one model, loaded and tried: rows in, JSON-able predictions out.

Knows neither HTTP nor the registry's client. The one runtime so far is "pyfunc": the
estimator behind MLflow's generic interface, fed a typed DataFrame.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import pandas as pd
from mlflow.exceptions import MlflowException

from .columns import is_missing
from .errors import Refused, first_line
from .registry import Target
from .schema import Inputs, check_params, compile_inputs, jsonable_signature
from .scoring import parse_invocation_document

log = logging.getLogger(__name__)
_EXAMPLE_ROWS = 2


class Runtime(Protocol):
    """What runs a prepared model: a typed batch -> predictions in any shape that numpy or pandas has."""

    name: str

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any: ...


class PyfuncRuntime:
    """Any MLflow flavor, through the generic interface."""

    name = "pyfunc"

    def __init__(self, pyfunc: Any):
        self._pyfunc = pyfunc

    def predict(self, data: Any, params: dict[str, Any] | None) -> Any:
        return self._pyfunc.predict(data, params=params) if params else self._pyfunc.predict(data)


@dataclass(frozen=True)
class ServedModel:
    """A version that has loaded and, where it has an input example, has answered it."""

    target: Target
    runtime: Runtime
    inputs: Inputs
    params_schema: Any
    flavor: str
    run_id: str | None
    signature: dict[str, Any] | None
    example_rows: list | None
    trial: tuple[Any, dict[str, Any] | None] | None

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def version(self) -> str:
        return self.target.version

    def predict(self, data: Any, raw_params: Any = None, strict: bool = False) -> list | dict[str, Any]:
        """Checked input -> predictions orjson can write; raises Refused.

        A model that raises is asked its own input example again: if it answers that, the input was at fault
        (`model_rejected_input`, the caller's to mend), else the model is (`model_failed`, the owner's).
        """
        params = check_params(raw_params, self.params_schema, strict)
        try:
            predictions = self.runtime.predict(data, params)
        except MlflowException as error:
            if "enforce schema" in str(error):
                raise Refused("invalid_input", first_line(error), "inputs") from None
            raise self._blame(error) from error
        except Exception as error:
            raise self._blame(error) from error
        return jsonable(predictions)

    def _blame(self, error: Exception) -> Refused:
        reason = first_line(error)
        if isinstance(error, MemoryError) or not self._answers_its_example():
            log.error("a model failed", extra={"model": self.name, "version": self.version}, exc_info=error)
            return Refused("model_failed", f"{self.name} version {self.version} failed to predict ({reason})")
        log.info(
            "a model rejected its input",
            extra={"model": self.name, "version": self.version, "reason": reason},
        )
        return Refused("model_rejected_input", f"{self.name} cannot predict this input ({reason})", "inputs")

    def _answers_its_example(self) -> bool:
        if self.trial is None:
            return True
        try:
            self.runtime.predict(*self.trial)
        except Exception:
            return False
        return True


class Unloadable(Exception):
    """A version cannot be served; the message says why."""


def load_model(folder: Path, target: Target, max_rows: int) -> ServedModel:
    """Load a version from its files and try it on its own input example; raises Unloadable."""
    import mlflow.pyfunc

    try:
        pyfunc = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:
        raise Unloadable(f"it does not load: {first_line(error)}") from error
    metadata = pyfunc.metadata
    inputs = compile_inputs(metadata.signature, max_rows)
    runtime = PyfuncRuntime(pyfunc)
    params_schema = metadata.get_params_schema()
    try:
        trial, rows = _own_example(metadata, folder, inputs)
        if trial is not None:
            jsonable(runtime.predict(*trial))
    except Refused as error:
        raise Unloadable(f"its own input example does not fit its signature: {error.message}") from error
    except Exception as error:
        raise Unloadable(f"it does not answer its own input example: {first_line(error)}") from error
    return ServedModel(
        target=target,
        runtime=runtime,
        inputs=inputs,
        params_schema=params_schema,
        flavor=next((name for name in metadata.flavors if name != "python_function"), "python_function"),
        run_id=metadata.run_id,
        signature=jsonable_signature(metadata.signature),
        example_rows=rows,
        trial=trial,
    )


def _own_example(metadata: Any, folder: Path, inputs: Inputs) -> tuple[tuple[Any, Any] | None, list | None]:
    """The input example as (model input, params) to try the model on; its first rows for /predict."""
    if not metadata.saved_input_example_info:
        return None, None
    example = metadata.load_input_example(str(folder))
    params = metadata.load_input_example_params(str(folder))
    rows = _rows(example)
    serving = metadata.get_serving_input(str(folder))
    if serving is None:
        return (example, params), rows
    data, raw_params = parse_invocation_document(orjson.loads(serving), inputs)
    return (data, check_params(raw_params, metadata.get_params_schema(), strict=False)), rows


def _rows(example: Any) -> list | None:
    if isinstance(example, pd.DataFrame):
        records = example.head(_EXAMPLE_ROWS).to_dict(orient="records")
        return [{str(key): _plain(value) for key, value in row.items()} for row in records]
    if isinstance(example, np.ndarray):
        return _plain(example[:_EXAMPLE_ROWS])
    return example[:_EXAMPLE_ROWS] if isinstance(example, list) else None


def jsonable(predictions: Any) -> Any:
    """Predictions as lists, dicts and scalars; a DataFrame becomes a list of row objects; NaN becomes null.

    Raises TypeError for what JSON has no form for.
    """
    if isinstance(predictions, pd.DataFrame):
        records = predictions.to_dict(orient="records")
        return [{str(key): _plain(value) for key, value in row.items()} for row in records]
    return _plain(predictions)


def _plain(value: Any) -> Any:
    if isinstance(value, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        value = value.tolist()
    elif hasattr(value, "toarray"):  # SciPy's sparse matrices
        value = value.toarray()
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufU":
            return value.tolist()
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if is_missing(value):
        return None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"predictions of type {type(value).__name__} cannot be written as JSON")
