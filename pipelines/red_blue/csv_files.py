"""The red/blue data as CSV files: `sample_01.csv` … and `reference.csv` in one folder.

Whatever is wrong in them is found here, and told with the file, the column, the row and the remedy.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pandas as pd

from .data import FEATURES, LABELS, TARGET, DataSet

COLUMNS = [*FEATURES, TARGET]
REFERENCE = "reference.csv"
# A fifth is held out and the rest is cut into ten folds: each fold must still see both labels.
FEWEST_PER_LABEL = 20


class BadData(ValueError):
    """A file cannot be used; the message is one sentence with the place and the remedy."""


def sample_name(number: int) -> str:
    return f"sample_{number:02d}.csv"


def write_folder(data: DataSet, folder: Path) -> list[Path]:
    """Write every sample and the reference set; the same numbers come back when they are read."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [sample_name(number) for number in range(1, len(data.samples) + 1)] + [REFERENCE]
    written = []
    for name, frame in zip(names, [*data.samples, data.reference], strict=True):
        frame.to_csv(folder / name, index=False, columns=COLUMNS)
        written.append(folder / name)
    return written


def read_folder(folder: Path) -> DataSet:
    """Samples 1, 2, … without a gap, and the reference set; raises BadData."""
    if not folder.is_dir():
        raise BadData(f"{folder} is not a folder: give the one that holds {sample_name(1)} … and {REFERENCE}")
    found = sorted(path.name for path in folder.glob("sample_*.csv"))
    expected = [sample_name(number) for number in range(1, len(found) + 1)]
    if not found:
        raise BadData(
            f"{folder} holds no {sample_name(1)}: name the samples {sample_name(1)}, {sample_name(2)}, …"
        )
    if found != expected:
        wrong, right = next((have, want) for have, want in zip(found, expected, strict=True) if have != want)
        raise BadData(
            f"{folder / wrong} is where {right} should be: number the samples from 01 without a "
            "gap, in two digits"
        )
    if not (folder / REFERENCE).is_file():
        raise BadData(f"{folder} holds no {REFERENCE}: add the points that every model is measured against")
    paths = [folder / name for name in [*found, REFERENCE]]
    frames = [read_file(path) for path in paths]
    return DataSet(frames[:-1], frames[-1], str(folder), [str(path) for path in paths])


def read_file(path: Path) -> pd.DataFrame:
    """One file as a frame with the columns Coord_X, Coord_Y (float64) and label (Red or Blue); raises
    BadData.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            return _parse(path, csv.reader(file))
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8 text ({error.reason}): save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise BadData(f"{path} is not CSV ({error}): save it with commas between the columns") from None
    except OSError as error:
        raise BadData(
            f"{path} cannot be read ({error.strerror}): check its name and its permissions"
        ) from None


def _parse(path: Path, lines) -> pd.DataFrame:
    header = next(lines, None)
    if header is None:
        raise BadData(f"{path} is empty: its first row must be {','.join(COLUMNS)}")
    names = [name.strip() for name in header]
    _check_header(path, names)
    values: dict[str, list] = {column: [] for column in COLUMNS}
    for fields in lines:
        if not fields:  # a blank line, as editors leave at the end
            continue
        row = lines.line_num
        if len(fields) != len(names):
            raise BadData(
                f"{path}, row {row}: {len(fields)} fields where the header has {len(names)}: "
                f"give one value for each of {', '.join(names)}"
            )
        for column, text in zip(names, fields, strict=True):
            parse = _label if column == TARGET else _number
            values[column].append(parse(path, row, column, text.strip()))
    _check_enough(path, values[TARGET])
    frame = pd.DataFrame(values, columns=COLUMNS)
    return frame.astype(dict.fromkeys(FEATURES, "float64"))


def _check_header(path: Path, names: list[str]) -> None:
    for column in COLUMNS:
        if column not in names:
            have = ", ".join(names) or "none"
            raise BadData(
                f"{path}, row 1: the column {column} is missing (columns found: {have}): add or rename it"
            )
    for column in names:
        if column not in COLUMNS:
            raise BadData(
                f"{path}, row 1: the column {column or '(without a name)'} is not expected: "
                f"keep only {', '.join(COLUMNS)}"
            )
        if names.count(column) > 1:
            raise BadData(f"{path}, row 1: the column {column} appears {names.count(column)} times: keep one")


def _number(path: Path, row: int, column: str, text: str) -> float:
    try:
        value = float(text.replace("_", "?"))  # Python would read 1_000 as a number
    except ValueError:
        what = "is empty" if text == "" else f"is {text!r}, which is not a number"
        raise BadData(f"{path}, row {row}: {column} {what}: write a decimal number such as -3.25") from None
    if not math.isfinite(value):
        raise BadData(f"{path}, row {row}: {column} is {text}: give a finite number or remove the row")
    return value


def _label(path: Path, row: int, column: str, text: str) -> str:
    if text not in LABELS:
        what = "is empty" if text == "" else f"is {text!r}"
        raise BadData(f"{path}, row {row}: {column} {what}: write {' or '.join(reversed(LABELS))}")
    return text


def _check_enough(path: Path, labels: list[str]) -> None:
    if not labels:
        raise BadData(f"{path} has a header but no rows: add points below it")
    for label in LABELS:
        if labels.count(label) < FEWEST_PER_LABEL:
            raise BadData(
                f"{path}: {TARGET} is {label} in {labels.count(label)} rows: "
                f"give at least {FEWEST_PER_LABEL} of each of {' and '.join(reversed(LABELS))}"
            )
