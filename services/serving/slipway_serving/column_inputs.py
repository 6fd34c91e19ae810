"""Columns of plain types: checked value by value here, so that the answer can name row and column."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from math import isfinite
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from mlflow.types.schema import ColSpec, DataType, Schema

from .columns import CONVERTERS, BadValue, from_array, plain_floats
from .errors import Refused, first_line
from .inputs import Inputs
from .table import Table

_NUMBERS = frozenset({int, float})


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
            if plain and set(map(type, data)) == {list} and set(map(len, data)) == {width}:
                self.check_count(len(data), field)
                if self._all_double and names == self._names and (matrix := _matrix(data, width)) is not None:
                    return Table(self._names, matrix=matrix)
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


def _getter(names: list[Any]) -> Callable[[Any], Any]:
    if len(names) == 1:
        (name,) = names
        return lambda row: (row[name],)
    return itemgetter(*names)


def _matrix(values: Sequence[Sequence], width: int) -> np.ndarray | None:
    """Rows of finite numbers as float64, None where one is something else."""
    flat = values[0] if len(values) == 1 else tuple(chain.from_iterable(values))
    matrix = plain_floats(flat) if len(values) > 1 else None
    if matrix is None:
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
