"""CSV files: what is written comes back, and what is wrong is told with file, column, row and remedy."""

import pandas as pd
import pytest

from pipelines.red_blue import csv_files, data
from pipelines.red_blue.csv_files import BadData

ROWS = ["1.5,2,Red"] * 20 + ["-1.5,-2e0,Blue"] * 20


@pytest.fixture
def read(tmp_path):
    """Writes a file of header and rows, and reads it."""

    def write_and_read(rows=ROWS, header="Coord_X,Coord_Y,label"):
        (tmp_path / "points.csv").write_text("\n".join([*([] if header is None else [header]), *rows, ""]))
        return csv_files.read_file(tmp_path / "points.csv")

    return write_and_read


def test_what_is_written_comes_back_to_the_last_digit(tmp_path):
    made = data.generate()
    csv_files.write_folder(made, tmp_path)
    back = csv_files.read_folder(tmp_path)
    assert back.version == made.version
    pd.testing.assert_frame_equal(back.samples[4], made.samples[4])
    pd.testing.assert_frame_equal(back.reference, made.reference)
    assert back.sources[4] == str(tmp_path / "sample_05.csv")


def test_good_rows_are_read_in_any_order_of_columns(read):
    frame = read(
        [f"{row.split(',')[2]}, {row.split(',')[0]} ,{row.split(',')[1]}" for row in ROWS],
        "label,Coord_X, Coord_Y",
    )
    assert frame.iloc[0].to_dict() == {"Coord_X": 1.5, "Coord_Y": 2.0, "label": "Red"}
    assert frame.iloc[-1]["Coord_Y"] == -2.0


def test_blank_lines_and_a_byte_order_mark_do_no_harm(read):
    assert len(read(["", *ROWS, "", ""], "\ufeffCoord_X,Coord_Y,label")) == 40


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("Coord_X,Coord_Z,label", ["row 1", "Coord_Y is missing", "Coord_Z", "rename it"]),
        ("Coord_X,label", ["row 1", "Coord_Y is missing", "add or rename"]),
        (",Coord_X,Coord_Y,label", ["row 1", "without a name", "keep only Coord_X, Coord_Y, label"]),
        ("Coord_X,Coord_Y,label,weight", ["row 1", "weight", "is not expected"]),
        ("Coord_X,Coord_Y,label,label", ["row 1", "label appears 2 times", "keep one"]),
        ("coord_x,Coord_Y,label", ["row 1", "Coord_X is missing", "coord_x"]),
    ],
)
def test_a_wrong_column_is_named(read, header, words):
    with pytest.raises(BadData) as told:
        read(header=header)
    assert all(word in str(told.value) for word in ["points.csv", *words]), told.value


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("abc,2,Red", ["Coord_X is 'abc'", "not a number", "decimal number"]),
        ("1,,Red", ["Coord_Y is empty", "decimal number"]),
        ("1,NaN,Red", ["Coord_Y is NaN", "finite number", "remove the row"]),
        ("1,inf,Red", ["Coord_Y is inf", "finite number"]),
        ("1_000,2,Red", ["Coord_X is '1_000'", "not a number"]),
        ("1,2,Green", ["label is 'Green'", "write Red or Blue"]),
        ("1,2,red", ["label is 'red'", "write Red or Blue"]),
        ("1,2,", ["label is empty", "write Red or Blue"]),
        ("1,2", ["2 fields where the header has 3"]),
        ("1,2,Red,4", ["4 fields where the header has 3"]),
    ],
)
def test_a_wrong_value_is_named_with_its_row(read, row, words):
    with pytest.raises(BadData) as told:
        read([*ROWS[:5], row, *ROWS[5:]])
    assert all(word in str(told.value) for word in ["points.csv", "row 7", *words]), told.value


def test_an_empty_file_and_a_header_alone_are_refused(read):
    with pytest.raises(BadData, match=r"points.csv is empty: its first row must be Coord_X,Coord_Y,label"):
        csv_files_empty = read([], None)
        assert csv_files_empty is None
    with pytest.raises(BadData, match=r"points.csv has a header but no rows: add points"):
        read([])


def test_too_few_points_of_one_label_are_refused(read):
    with pytest.raises(BadData, match=r"label is Blue in 3 rows: give at least 20"):
        read(ROWS[:23])


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "points.csv").write_bytes(b"Coord_X,Coord_Y,label\n\xff\xfe,1,Red\n")
    with pytest.raises(BadData, match="not UTF-8"):
        csv_files.read_file(tmp_path / "points.csv")


def test_a_folder_must_hold_numbered_samples_and_a_reference_set(tmp_path):
    with pytest.raises(BadData, match="is not a folder"):
        csv_files.read_folder(tmp_path / "nowhere")
    with pytest.raises(BadData, match=r"holds no sample_01.csv"):
        csv_files.read_folder(tmp_path)
    good = "\n".join(["Coord_X,Coord_Y,label", *ROWS])
    (tmp_path / "sample_01.csv").write_text(good)
    with pytest.raises(BadData, match=r"holds no reference.csv"):
        csv_files.read_folder(tmp_path)
    (tmp_path / "reference.csv").write_text(good)
    assert len(csv_files.read_folder(tmp_path).samples) == 1
    (tmp_path / "sample_03.csv").write_text(good)
    with pytest.raises(BadData, match=r"sample_03.csv is where sample_02.csv should be"):
        csv_files.read_folder(tmp_path)
