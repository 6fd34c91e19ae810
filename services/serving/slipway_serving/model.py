"""One version of one model, loaded and prepared: checked rows in, predictions out that JSON has a form for.

Knows neither HTTP nor the registry's client. Which runtime answers is found out at load, by `runtimes`;
MLflow's generic interface ("pyfunc") stays beside it as the reference, which has the last word on whatever it
cannot run.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from mlflow.exceptions import MlflowException

from .columns import is_missing
from .errors import Refused, first_line
from .registry import Target
from .runtimes import Loaded, Runtime, Unfit, sklearn_estimator
from .runtimes.draws import ColumnDraws, Draws, TensorDraws
from .runtimes.preparation import prepare
from .runtimes.pyfunc import Pyfunc
from .schema import ColumnInputs, Inputs, check_params, compile_inputs, jsonable_signature
from .scoring import parse_invocation_document
from .table import Table

log = logging.getLogger(__name__)
_EXAMPLE_ROWS = 2
_SEED = 7
_UNKNOWN = float("inf")


@dataclass(frozen=True)
class ServedModel:
    """A version that has loaded and, where it has an input example, has answered it.

    preparation: what runtimes were tried, as `runtimes.preparation` reports it. row_wise: a row's prediction
    does not depend on the rows beside it, so requests may be run together. seconds: the runtime's, by number
    of rows.
    """

    target: Target
    runtime: Runtime
    reference: Runtime
    inputs: Inputs
    params_schema: Any
    flavor: str
    run_id: str | None
    signature: dict[str, Any] | None
    example_rows: list | None
    trial: tuple[Any, dict[str, Any] | None] | None
    preparation: dict[str, Any] = field(default_factory=dict)
    row_wise: bool = False
    seconds: dict[int, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def version(self) -> str:
        return self.target.version

    @property
    def probabilities(self) -> bool:
        """Whether it can be asked for each class's probability."""
        return self.reference.probabilities

    @property
    def classes(self) -> list | None:
        """The labels that the columns of its probabilities stand for, where it has such."""
        return getattr(self.reference, "classes", None)

    def cost(self, rows: int) -> float:
        """Seconds that predicting so many rows takes, as measured at load; infinite where it was not."""
        one, more = self.seconds.get(1), self.seconds.get(64)
        if one is None or more is None:
            return _UNKNOWN
        return one + (rows - 1) * max(more - one, 0) / 63

    def predict(
        self, data: Any, raw_params: Any = None, strict: bool = False, probabilities: bool = False
    ) -> Any:
        """Checked input -> lists, dicts, scalars or a numeric array, as orjson writes them; raises Refused.

        A model that raises is asked its own input example again: if it answers that, the input was at fault
        (`model_rejected_input`, the caller's to mend), else the model is (`model_failed`, the owner's).
        """
        params = None if raw_params is None else check_params(raw_params, self.params_schema, strict)
        if probabilities and not self.probabilities:
            raise Refused("no_probabilities", f"{self.name} has no probabilities to give", "probabilities")
        try:
            return jsonable(self._answer(data, params, probabilities))
        except MlflowException as error:
            if "enforce schema" in str(error):
                raise Refused("invalid_input", first_line(error), "inputs") from None
            raise self._blame(error) from error
        except Exception as error:
            raise self._blame(error) from error

    def quick(self, data: Any, probabilities: bool = False) -> Any:
        """predict by the chosen runtime alone; where it raises, `predict` may still have an answer."""
        runtime = self.runtime
        if not probabilities:
            return jsonable(runtime.predict(data))
        if not runtime.probabilities:
            raise Unfit
        return jsonable(runtime.predict_proba(data))

    def _answer(self, data: Any, params: dict[str, Any] | None, probabilities: bool) -> Any:
        runtime = self.runtime
        if runtime is not self.reference and (runtime.takes_params or not params):
            try:
                if not probabilities:
                    return runtime.predict(data, params)
                if runtime.probabilities:
                    return runtime.predict_proba(data)
            except Exception as error:
                log.debug("left to the reference", extra={"model": self.name, "reason": first_line(error)})
        return self.reference.predict_proba(data) if probabilities else self.reference.predict(data, params)

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
            self.reference.predict(*self.trial)
        except Exception:
            return False
        return True


class Unloadable(Exception):
    """A version cannot be served; the message says why."""


def load_model(
    folder: Path,
    target: Target,
    max_rows: int,
    *,
    prepare_seconds: float = 30,
    threads: int = 1,
    pin: str | None = None,
) -> ServedModel:
    """Load a version from its files, try it on its own input example, find its fastest runtime.

    Raises Unloadable. prepare_seconds: the time limit for finding it, 0 for not looking; threads: what one
    prediction may use; pin: the runtime that the version's tag `slipway.runtime` names.
    """
    import mlflow.pyfunc

    try:
        pyfunc = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:
        raise Unloadable(f"it does not load: {first_line(error)}") from error
    metadata = pyfunc.metadata
    inputs = compile_inputs(metadata.signature, max_rows)
    names = tuple(inputs.names) if isinstance(inputs, ColumnInputs) else None
    loaded = Loaded(pyfunc, sklearn_estimator(pyfunc), names, threads=threads)
    try:
        trial, rows = _own_example(metadata, folder, inputs)
        if trial is not None:
            jsonable(Pyfunc(loaded).predict(*trial))
    except Refused as error:
        raise Unloadable(f"its own input example does not fit its signature: {error.message}") from error
    except Exception as error:
        raise Unloadable(f"it does not answer its own input example: {first_line(error)}") from error
    prepared = prepare(
        loaded,
        lambda: _draws(loaded, inputs, trial),
        prepare_seconds,
        "pyfunc" if prepare_seconds <= 0 else pin,
    )
    log.info(
        "prepared",
        extra={
            "model": target.name,
            "version": target.version,
            "runtime": prepared.runtime.name,
            "took": prepared.report["seconds"],
        },
    )
    return ServedModel(
        target=target,
        runtime=prepared.runtime,
        reference=prepared.reference,
        inputs=inputs,
        params_schema=metadata.get_params_schema(),
        flavor=next((name for name in metadata.flavors if name != "python_function"), "python_function"),
        run_id=metadata.run_id,
        signature=jsonable_signature(metadata.signature),
        example_rows=rows,
        trial=trial,
        preparation=prepared.report,
        row_wise=prepared.row_wise,
        seconds=prepared.seconds,
    )


def _draws(loaded: Loaded, inputs: Inputs, trial: tuple[Any, Any] | None) -> Draws | None:
    """What to compare runtimes on, None where inputs cannot be drawn."""
    example = trial[0] if trial is not None else None
    if isinstance(inputs, ColumnInputs):
        table = example if isinstance(example, Table) else None
        return ColumnDraws(inputs, table, loaded.estimator, _SEED)
    if TensorDraws.can_draw(inputs):
        array = example if isinstance(example, np.ndarray) else None
        return TensorDraws(inputs, array, loaded.estimator, _SEED)
    return None


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
    """Predictions as orjson writes them: numeric arrays stay, a DataFrame becomes row objects, NaN null.

    Raises TypeError for what JSON has no form for.
    """
    if isinstance(predictions, np.ndarray) and predictions.ndim and predictions.dtype.kind in "biuf":
        dtype = np.float64 if predictions.dtype.kind == "f" else predictions.dtype
        return np.ascontiguousarray(predictions, dtype)
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
        if all(type(item) is str for item in value):
            return value
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
