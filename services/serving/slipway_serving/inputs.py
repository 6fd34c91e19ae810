"""What a model accepts, checked by MLflow itself; the checks of plain columns are in column_inputs.py."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema
from mlflow.types.schema import Schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json, parse_tf_serving_input

from .errors import Refused, first_line


class Inputs:
    """What a model accepts."""

    def __init__(self, schema: Schema | None, max_rows: int):
        self.schema = schema
        self.max_rows = max_rows

    def from_rows(self, rows: Any) -> Any:
        """`inputs` of /predict, a list of rows or one row -> what predict takes; raises Refused."""
        if isinstance(rows, dict):
            rows = [rows]
        if not isinstance(rows, list):
            raise Refused(
                "wrong_type", "inputs must be a list of rows, each an object of column names", "inputs"
            )
        self.check_count(len(rows))
        return self._typed_rows(rows)

    def from_frame(self, frame: pd.DataFrame, field: str) -> Any:
        """A table from MLflow's protocol; columns the model does not know are left out, as MLflow does."""
        self.check_count(len(frame), field)
        return self._enforced(frame, field)

    def from_split(self, value: Any, field: str) -> Any:
        """`dataframe_split` of MLflow's protocol."""
        try:
            frame = dataframe_from_parsed_json(value, "split")
        except MlflowException as error:
            raise Refused("invalid_input", plain(error), field) from None
        return self.from_frame(frame, field)

    def from_records(self, rows: Any, field: str) -> Any:
        """`dataframe_records` of MLflow's protocol."""
        try:
            frame = dataframe_from_parsed_json(rows, "records")
        except MlflowException as error:
            raise Refused("invalid_input", plain(error), field) from None
        return self.from_frame(frame, field)

    def from_tensors(self, key: str, value: Any) -> Any:
        """`inputs` or `instances` of MLflow's protocol."""
        if isinstance(value, list):
            self.check_count(len(value), key)
        try:
            data = parse_tf_serving_input({key: value}, schema=self.schema)
        except MlflowException as error:
            raise Refused("invalid_input", first_line(error), key) from None
        return self._enforced(data, key)

    def from_object(self, value: dict[str, Any]) -> Any:
        """One object that is the input as it stands: what language models are asked with."""
        return self._enforced(value, "the body")

    def from_arrays(self, columns: Mapping[str, np.ndarray | list], rows: int, field: str) -> Any:
        """Columns whose values are typed already, of `rows` each."""
        self.check_count(rows, field)
        return self.from_frame(pd.DataFrame(dict(columns)), field)

    def from_array_input(self, data: Any) -> Any:
        """Arrays as they go into the model, one or several by name."""
        for name, array in data.items() if isinstance(data, dict) else (("inputs", data),):
            self.check_count(len(array), name)
        return self._enforced(data, "inputs")

    def among(self, names: Sequence[str]) -> Sequence[str]:
        """Of these columns, those that are worth reading."""
        return names

    def check_count(self, count: int, field: str = "inputs") -> None:
        """Refuse no rows at all and more rows than one request may have."""
        if count == 0:
            raise Refused("empty_inputs", f"{field} has no rows: send at least one", field)
        if count > self.max_rows:
            raise Refused(
                "too_many_rows",
                f"{field} has {count} rows, at most {self.max_rows} are taken: split it",
                field,
            )

    def _typed_rows(self, rows: list) -> Any:
        if all(isinstance(row, dict) for row in rows):
            return self._enforced(pd.DataFrame(rows), "inputs")
        return self.from_tensors("inputs", rows)

    def _enforced(self, data: Any, field: str) -> Any:
        if self.schema is None:
            return data
        try:
            return _enforce_schema(data, self.schema)
        except MlflowException as error:
            raise Refused("invalid_input", plain(error), field) from None
        except Exception as error:  # numpy's and pandas' own, on shapes that cannot be a table
            raise Refused(
                "invalid_input", f"{field} does not fit the signature ({first_line(error)})", field
            ) from None


class RawInputs(Inputs):
    """A custom model whose type hint is its signature: MLflow hands the value over and checks it itself."""

    def _typed_rows(self, rows: list) -> Any:
        return rows

    def from_tensors(self, key: str, value: Any) -> Any:
        if isinstance(value, list):
            self.check_count(len(value), key)
        return value


def plain(error: MlflowException) -> str:
    lines = str(error.message).strip().splitlines()
    return lines[0][:400] if lines else "the input does not fit the model's signature"
