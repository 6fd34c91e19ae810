"""A version's own input example: what it is tried on, what its answer must be like, and what to draw around.

The answer must fit the signature's outputs; where the predictions to expect are kept, in the model's metadata
or the version's tag `slipway.expected`, it must be these.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
from mlflow.types import DataType

from .column_inputs import ColumnInputs
from .inputs import Inputs
from .plain import jsonable, plain
from .runtimes import Loaded
from .runtimes.agreement import agreeing
from .runtimes.draws import ColumnDraws, Draws, TensorDraws
from .schema import check_params
from .scoring import parse_invocation_document
from .table import Table
from .traffic import EXPECTED_TAG

_EXAMPLE_ROWS = 2
_SEED = 7
_DRAWN_ROWS = 10_000
_NUMBERS = (DataType.double, DataType.float, DataType.long, DataType.integer)


class Unexpected(Exception):
    """A version's answer to its own example is not what it should be; the message says how."""


def own_example(metadata: Any, folder: Path, inputs: Inputs) -> tuple[tuple[Any, Any] | None, list | None]:
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


def check_answer(answer: Any, metadata: Any, tags: dict[str, str]) -> None:
    """Raises Unexpected unless the answer to the example is as the signature and the owner say."""
    _check_outputs(answer, metadata.signature)
    expected = tags.get(EXPECTED_TAG)
    if expected is not None:
        try:
            expected = orjson.loads(expected)
        except orjson.JSONDecodeError:
            raise Unexpected(f"the tag {EXPECTED_TAG} is not JSON: write the predictions as a list") from None
    else:
        expected = (metadata.metadata or {}).get(EXPECTED_TAG)
    if expected is None:
        return
    given = orjson.loads(orjson.dumps(jsonable(answer), option=orjson.OPT_SERIALIZE_NUMPY))
    if not np.all(agreeing(_numbers(expected), _numbers(given))):
        raise Unexpected(
            f"its answer to its own input example is {_short(given)}, expected is {_short(expected)}"
            f" ({EXPECTED_TAG})"
        )


def draws_for(loaded: Loaded, inputs: Inputs, trial: tuple[Any, Any] | None) -> Draws | None:
    """What to compare runtimes on, None where inputs cannot be drawn."""
    example = trial[0] if trial is not None else None
    inputs = copy.copy(inputs)
    inputs.max_rows = _DRAWN_ROWS  # however few rows a caller may send
    if isinstance(inputs, ColumnInputs):
        table = example if isinstance(example, Table) else None
        return ColumnDraws(inputs, table, loaded.estimator, _SEED)
    if TensorDraws.can_draw(inputs):
        array = example if isinstance(example, np.ndarray) else None
        return TensorDraws(inputs, array, loaded.estimator, _SEED)
    return None


def _check_outputs(answer: Any, signature: Any) -> None:
    outputs = signature.outputs if signature is not None else None
    if outputs is None or outputs.is_tensor_spec():
        return
    for spec in outputs.inputs:
        column = answer
        if isinstance(answer, pd.DataFrame) and spec.name is not None:
            if spec.name not in answer.columns:
                raise Unexpected(f"its answer to its own input example lacks the column {spec.name!r}")
            column = answer[spec.name]
        if not isinstance(column, np.ndarray | pd.Series) or spec.type not in _NUMBERS:
            continue
        values = np.asarray(column)
        if values.dtype.kind in "US" or (
            values.dtype == object and all(isinstance(value, str) for value in values.ravel())
        ):
            raise Unexpected("its answer to its own input example is text, its signature says numbers")
        if spec.required and values.dtype.kind == "f" and values.size and not np.isfinite(values).any():
            raise Unexpected("its answer to its own input example has no finite number")


def _rows(example: Any) -> list | None:
    if isinstance(example, pd.DataFrame):
        records = example.head(_EXAMPLE_ROWS).to_dict(orient="records")
        return [{str(key): plain(value) for key, value in row.items()} for row in records]
    if isinstance(example, np.ndarray):
        return plain(example[:_EXAMPLE_ROWS])
    return example[:_EXAMPLE_ROWS] if isinstance(example, list) else None


def _numbers(value: Any) -> Any:
    """JSON tells 1 from 1.0, people do not."""
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _short(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return text if len(text) <= 80 else text[:79] + "…"
