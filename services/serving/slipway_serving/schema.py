"""A model's MLflow signature, compiled once into checks of what callers send. Knows neither HTTP nor models.

Three kinds of input: columns of plain types (checked value by value here, so that the answer can name row and
column), everything else a signature can say (tensors, nested types: MLflow checks it), and models without a
signature (nothing is known, nothing is checked but size).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.models.utils import _enforce_params_schema, _enforce_schema
from mlflow.types.schema import ColSpec, DataType, ParamSchema, Schema
from mlflow.utils.proto_json_utils import dataframe_from_parsed_json, parse_tf_serving_input

from .columns import CONVERTERS, BadValue, from_array
from .errors import Refused, first_line
from .table import Table

_NUMBERS = frozenset({int, float})


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
            raise Refused("invalid_input", _plain(error), field) from None
        return self.from_frame(frame, field)

    def from_records(self, rows: Any, field: str) -> Any:
        """`dataframe_records` of MLflow's protocol."""
        try:
            frame = dataframe_from_parsed_json(rows, "records")
        except MlflowException as error:
            raise Refused("invalid_input", _plain(error), field) from None
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
            raise Refused("invalid_input", _plain(error), field) from None
        except Exception as error:  # numpy's and pandas' own, on shapes that cannot be a table
            raise Refused(
                "invalid_input", f"{field} does not fit the signature ({first_line(error)})", field
            ) from None


class ColumnInputs(Inputs):
    """Columns of plain types, by name or, where the signature has no names, by position; made into a Table.

    Nearly all that is sent is right: it is read without looking at each value twice. Whatever is not goes
    through `_table_of_rows`, which finds the first value that is wrong.
    """

    def __init__(self, schema: Schema, max_rows: int):
        super().__init__(schema, max_rows)
        self._specs: list[ColSpec] = list(schema.inputs)
        self._named = schema.has_input_names()
        self._names: list[Any] = schema.input_names() if self._named else list(range(len(self._specs)))
        self._known = set(self._names)
        self._required = {n for n, spec in zip(self._names, self._specs, strict=True) if spec.required}
        self._all_double = all(spec.type == DataType.double for spec in self._specs)
        self._kind = dict if self._named else list
        self._values = _getter(self._names)

    @property
    def names(self) -> list[Any]:
        """The columns, numbered where the signature has no names."""
        return self._names

    @property
    def named(self) -> bool:
        return self._named

    @property
    def known(self) -> set[Any]:
        """The columns, for looking one up."""
        return self._known

    def from_frame(self, frame: pd.DataFrame, field: str) -> Table:
        self.check_count(len(frame), field)
        if list(frame.columns) == list(range(len(frame.columns))) and len(frame.columns) == len(self._names):
            frame = frame.set_axis(self._names, axis=1)  # a table without names: by position
        self._check_columns(frame.columns, field)
        duplicate = frame.columns[frame.columns.duplicated()]
        if len(duplicate):
            raise Refused("duplicate_column", f"{field} has the column {duplicate[0]!r} twice", field)
        columns = {name: frame[name].tolist() for name in self._names if name in frame.columns}
        return self._typed(columns, field)

    def from_split(self, value: Any, field: str) -> Table:
        names, data = (value.get("columns"), value.get("data")) if isinstance(value, dict) else (None, None)
        if (
            isinstance(names, list)
            and isinstance(data, list)
            and data
            and value.keys() == {"columns", "data"}
        ):
            width = len(names)
            plain = all(type(name) is str for name in names) and len(set(names)) == width
            if plain and all(type(row) is list and len(row) == width for row in data):
                return self._from_columns(
                    dict(zip(names, zip(*data, strict=True), strict=True)), len(data), field
                )
        return super().from_split(value, field)

    def from_records(self, rows: Any, field: str) -> Table:
        if self._named and isinstance(rows, list):
            return self._table_of_rows(rows, field, strict=False)
        return super().from_records(rows, field)

    def from_tensors(self, key: str, value: Any) -> Table:
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return self._table_of_rows(value, key, strict=False)
        if isinstance(value, dict):
            if not any(isinstance(item, list) for item in value.values()):
                return self._table_of_rows([value], key, strict=False)
            lengths = {len(item) if isinstance(item, list) else None for item in value.values()}
            if len(lengths) == 1 and None not in lengths:
                return self._from_columns(value, lengths.pop(), key)
        try:
            frame = pd.DataFrame(value)
        except Exception as error:
            raise Refused("invalid_input", f"{key} is not a table ({first_line(error)})", key) from None
        return self.from_frame(frame, key)

    def from_object(self, value: dict[str, Any]) -> Table:
        return self._table_of_rows([value], "the body", strict=False)

    def from_arrays(self, columns: Mapping[str, np.ndarray | list], rows: int, field: str) -> Table:
        if not self._named and len(columns) == len(self._names):
            columns = dict(zip(self._names, columns.values(), strict=True))
        return self._from_columns(columns, rows, field)

    def among(self, names: Sequence[str]) -> Sequence[str]:
        return [name for name in names if name in self._known] if self._named else names

    def _typed_rows(self, rows: list) -> Table:
        return self._table_of_rows(rows, "inputs", strict=True)

    def _table_of_rows(self, rows: list, field: str, strict: bool) -> Table:
        """strict: a column the model does not know is an error (a typing mistake), not left out."""
        self.check_count(len(rows), field)
        if (values := self._whole_rows(rows, strict)) is not None:
            if self._all_double and (matrix := _matrix(values, len(self._names))) is not None:
                return Table(self._names, matrix=matrix)
            return self._typed(dict(zip(self._names, zip(*values, strict=True), strict=True)), field)
        for i, row in enumerate(rows):
            self._check_row(i, row, field, strict)
        if self._named:
            present = set().union(*map(dict.keys, rows))
            columns = {name: [row.get(name) for row in rows] for name in self._names if name in present}
        else:
            columns = {name: [row[name] for row in rows] for name in self._names}
        return self._typed(columns, field)

    def _whole_rows(self, rows: list, strict: bool) -> list | None:
        """Each row's values in the order of the signature, None where a row is not just as it should be."""
        if set(map(type, rows)) != {self._kind}:
            return None
        if (strict or not self._named) and set(map(len, rows)) != {len(self._names)}:
            return None
        try:
            return list(map(self._values, rows))
        except KeyError:
            return None

    def _check_row(self, i: int, row: Any, field: str, strict: bool) -> None:
        if not self._named and isinstance(row, list) and len(row) == len(self._names):
            return
        if not self._named or not isinstance(row, dict):
            raise Refused("wrong_type", f"{field}[{i}] must be {self._row_text()}", f"{field}[{i}]")
        if row.keys() == self._known:
            return
        for name in self._names:
            if name not in row and name in self._required:
                raise Refused("missing_column", self._missing_text(name, row), f"{field}[{i}].{name}")
        if strict and (unknown := sorted(row.keys() - self._known)):
            name = _short(unknown[0])
            raise Refused("unknown_column", self.unknown_text(name), f"{field}[{i}].{name}")

    def _from_columns(self, columns: Mapping[Any, Sequence[Any]], rows: int, field: str) -> Table:
        self.check_count(rows, field)
        self._check_columns(columns, field)
        return self._typed(columns, field)

    def _check_columns(self, present: Any, field: str) -> None:
        absent = [name for name in self._names if name in self._required and name not in present]
        if absent:
            raise Refused("missing_column", self._missing_text(absent[0], present), f"{field}.{absent[0]}")

    def _typed(self, columns: Mapping[Any, Sequence[Any]], field: str) -> Table:
        typed: list[Any] = []
        for name, spec in zip(self._names, self._specs, strict=True):
            if name not in columns:
                typed.append(None)
                continue
            values = columns[name]
            try:
                if isinstance(values, np.ndarray):
                    typed.append(from_array(spec.type, values, spec.required))
                else:
                    typed.append(CONVERTERS[spec.type](values, spec.required))
            except BadValue as bad:
                where = f"{field}[{bad.row}].{name}"
                raise Refused(bad.code, f"{where} {bad.reason}", where) from None
        return Table(self._names, typed)

    def _row_text(self) -> str:
        if not self._named:
            return f"a list of {len(self._names)} values"
        return "an object with the columns " + ", ".join(self._names)

    def _missing_text(self, name: Any, present: Iterable[Any]) -> str:
        strangers = [str(other) for other in present if other not in self._known]
        close = difflib.get_close_matches(str(name).lower(), [other.lower() for other in strangers], n=1)
        hint = next((f"; {other!r} is not its name" for other in strangers if other.lower() in close), "")
        return f"the column {name!r} is missing{hint}; the model needs {', '.join(map(str, self._names))}"

    def unknown_text(self, name: str) -> str:
        """What there is instead of a column that is not."""
        return f"the model has no column {name!r}; its columns are {', '.join(self._names)}"


class RawInputs(Inputs):
    """A custom model whose type hint is its signature: MLflow hands the value over and checks it itself."""

    def _typed_rows(self, rows: list) -> Any:
        return rows

    def from_tensors(self, key: str, value: Any) -> Any:
        if isinstance(value, list):
            self.check_count(len(value), key)
        return value


def compile_inputs(signature: ModelSignature | None, max_rows: int) -> Inputs:
    """The checks for a model's signature."""
    schema = signature.inputs if signature is not None else None
    if signature is not None and signature._is_signature_from_type_hint:
        return RawInputs(schema, max_rows)
    if schema is None or schema.is_tensor_spec() or not schema.inputs:
        return Inputs(schema, max_rows)
    if all(isinstance(spec.type, DataType) and spec.type in CONVERTERS for spec in schema.inputs):
        return ColumnInputs(schema, max_rows)
    return Inputs(schema, max_rows)


def check_params(params: Any, schema: ParamSchema | None, strict: bool) -> dict[str, Any] | None:
    """`params` against the signature's; strict: names it does not have are an error; raises Refused."""
    if params is None:
        return None
    if not isinstance(params, dict):
        raise Refused("wrong_type", "params must be an object of names and values", "params")
    known = [spec.name for spec in schema.params] if schema else []
    if strict and (unknown := [name for name in params if name not in known]):
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise Refused(
            "unknown_param", f"the model has no parameter {unknown[0]!r}; {takes}", f"params.{unknown[0]}"
        )
    known_only = {name: value for name, value in params.items() if name in known}
    try:
        _enforce_params_schema(dict(known_only), schema)
    except MlflowException as error:
        raise Refused("wrong_type", _plain(error), "params") from None
    return known_only


def _getter(names: list[Any]) -> Callable[[Any], Any]:
    if len(names) == 1:
        (name,) = names
        return lambda row: (row[name],)
    return itemgetter(*names)


def _matrix(values: list[tuple], width: int) -> np.ndarray | None:
    """Rows of finite numbers as float64, None where one is something else."""
    flat = values[0] if len(values) == 1 else tuple(chain.from_iterable(values))
    if not _NUMBERS.issuperset(map(type, flat)):
        return None
    try:
        matrix = np.array(flat, dtype=np.float64)
    except OverflowError:  # an integer that no float is as large as
        return None
    # Of one row the sum tells it sooner: it is finite where every part is, unless it is too large itself.
    if (len(values) > 1 or not isfinite(sum(flat))) and not np.isfinite(matrix).all():
        return None
    return matrix.reshape(-1, width)


def _short(name: str) -> str:
    return name if len(name) <= 100 else name[:99] + "…"


def _plain(error: MlflowException) -> str:
    lines = str(error.message).strip().splitlines()
    return lines[0][:400] if lines else "the input does not fit the model's signature"


def jsonable_signature(signature: ModelSignature | None) -> dict[str, Any] | None:
    """The signature as JSON objects: {"inputs": [...], "outputs": [...], "params": [...]}."""
    if signature is None:
        return None
    parts = {"inputs": signature.inputs, "outputs": signature.outputs, "params": signature.params}
    return {name: part.to_dict() if part is not None else None for name, part in parts.items()}
