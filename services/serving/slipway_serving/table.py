"""A batch of rows as typed columns: what validation makes and every runtime takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd


class Table:
    """Columns in the order of the signature; a column that is optional and was left out is None.

    A text is an object array of str, with NaN where a value is missing. A table of float64 columns alone is
    kept as one matrix, which is what most estimators want.
    """

    __slots__ = ("_columns", "_matrix", "names", "rows")

    def __init__(
        self,
        names: Sequence[Any],
        columns: Sequence[Any] | None = None,
        matrix: np.ndarray | None = None,
    ):
        self.names = names
        self._columns = columns
        self._matrix = matrix
        if matrix is not None:
            self.rows = len(matrix)
        else:
            self.rows = next((len(column) for column in columns or () if column is not None), 0)

    def __len__(self) -> int:
        return self.rows

    @property
    def columns(self) -> Sequence[Any]:
        if self._columns is None:
            self._columns = list(self._matrix.T)  # type: ignore[union-attr]
        return self._columns

    @property
    def whole(self) -> bool:
        """Every column is there."""
        return self._matrix is not None or all(column is not None for column in self._columns or ())

    def matrix(self) -> np.ndarray | None:
        """The columns side by side in the dtype a DataFrame of them would have, None where one has text."""
        if self._matrix is None:
            self._matrix = side_by_side(self.columns)
        return self._matrix

    def frame(self) -> pd.DataFrame:
        """As a notebook would have it."""
        if self._columns is None:
            return pd.DataFrame(self._matrix, columns=self.names)
        pairs = zip(self.names, self._columns, strict=True)
        return pd.DataFrame({name: _series(column) for name, column in pairs if column is not None})

    def take(self, rows: slice) -> Table:
        if self._columns is None:
            return Table(self.names, matrix=self._matrix[rows])  # type: ignore[index]
        return Table(self.names, [None if column is None else column[rows] for column in self._columns])


def side_by_side(columns: Sequence[Any]) -> np.ndarray | None:
    """Numeric columns as one matrix; None where one is missing or has no numbers."""
    kinds = {column.dtype if isinstance(column, np.ndarray) else None for column in columns}
    if None in kinds or any(dtype.kind not in "fiub" for dtype in kinds):
        return None
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float64)
    if dtype.kind == "b":
        dtype = np.dtype(np.float64)
    matrix = np.empty((len(columns[0]), len(columns)), dtype)
    for i, column in enumerate(columns):
        matrix[:, i] = column
    return matrix


def stacked(tables: Sequence[Table]) -> Table:
    """Several tables of one model, all `whole`, one under the other."""
    if len(tables) == 1:
        return tables[0]
    names = tables[0].names
    if all(table._columns is None for table in tables):
        return Table(names, matrix=np.concatenate([table._matrix for table in tables]))
    columns = []
    for parts in zip(*(table.columns for table in tables), strict=True):
        joined = parts[0].append(list(parts[1:])) if isinstance(parts[0], pd.Index) else np.concatenate(parts)
        columns.append(joined)
    return Table(names, columns)


def _series(column: Any) -> Any:
    if isinstance(column, np.ndarray) and column.dtype == object and not _has_bytes(column):
        # pandas' own text type, as a frame in a notebook has it: encoders tell None and NaN apart.
        return pd.array(column, dtype="str")
    return column


def _has_bytes(column: np.ndarray) -> bool:
    return any(isinstance(value, bytes) or value is None for value in column)
