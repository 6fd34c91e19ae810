"""Reading .env as Compose does, and the one block in it that is the launcher's."""

from __future__ import annotations

import os
import stat

import pytest

from infra.launcher import dotenv
from infra.launcher.problem import Problem

IMAGES = {"BASE_IMAGE": "slipway-offline/debian:trixie", "POSTGRES_IMAGE": "slipway-offline/postgres:17"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("export NAME=value", "value"),
        ("  NAME = value  ", "value"),
        ("NAME=value # a comment", "value"),
        ("NAME=val#ue", "val#ue"),
        ("NAME='a # b'", "a # b"),
        ('NAME="a b" # c', "a b"),
        ("NAME='$HOME'", "$HOME"),
        ("NAME=${PORT}1", "801"),
        ("NAME=${NOWHERE:-default}", "default"),
        ("NAME=", ""),
        ("NAME=# nothing", ""),
    ],
)
def test_a_line_is_read_as_compose_reads_it(line, value):
    assert dotenv.parse(line, {"PORT": "80"})["NAME"] == value


def test_comments_and_lines_that_set_nothing_are_passed_over():
    assert dotenv.parse("# A=1\n\n  #B=2\nnot a line\nC=3\n") == {"C": "3"}


def test_the_last_line_of_a_name_counts_and_the_environment_is_looked_up_first():
    assert dotenv.parse("A=1\nA=2\nB=$A\n") == {"A": "2", "B": "2"}
    assert dotenv.parse("A=1\nB=$A\n", {"A": "9"})["B"] == "9"


def test_windows_line_ends_are_no_part_of_a_value():
    assert dotenv.parse("A=1\r\nB=two\r\n") == {"A": "1", "B": "two"}


def test_the_block_is_put_at_the_end_and_read_back():
    text = dotenv.with_block("HTTP_PORT=9000\n", IMAGES)
    assert text.startswith("HTTP_PORT=9000\n" + dotenv.BEGIN)
    assert dotenv.block_of(text) == IMAGES


@pytest.mark.parametrize(
    "operators",
    [
        "",
        "HTTP_PORT=9000",
        "HTTP_PORT=9000\n",
        "# mine\n\nHTTP_PORT=9000   # why\n\n",
        "# mine\r\nHTTP_PORT=9000\r\n",
        "A='x'\n# BASE_IMAGE=not this\n",
    ],
)
def test_what_the_operator_wrote_stays_to_the_byte_however_often_the_block_is_written(operators):
    once = dotenv.with_block(operators, IMAGES)
    assert dotenv.with_block(once, IMAGES) == once
    assert once.startswith(operators)
    without = dotenv.with_block(once, {})
    assert without.rstrip("\r\n") == operators.rstrip("\r\n")


def test_a_block_is_replaced_where_it_stands_with_lines_on_both_sides_kept():
    text = dotenv.with_block("BEFORE=1\n", IMAGES) + "AFTER=2\n"
    new = dotenv.with_block(text, {"BASE_IMAGE": "other:1"})
    assert dotenv.block_of(new) == {"BASE_IMAGE": "other:1"}
    assert dotenv.outside_of(new) == "BEFORE=1\nAFTER=2\n"


def test_a_file_with_windows_line_ends_keeps_them_in_the_block():
    text = dotenv.with_block("A=1\r\n", IMAGES)
    assert "\n" not in text.replace("\r\n", "")
    assert dotenv.block_of(text) == IMAGES


def test_a_block_without_its_last_line_is_refused_rather_than_guessed_at():
    with pytest.raises(Problem, match="not the line that ends the block"):
        dotenv.with_block(f"{dotenv.BEGIN}\nBASE_IMAGE=x\nHTTP_PORT=9000\n", IMAGES)


def test_a_value_that_would_need_quotes_is_never_written():
    with pytest.raises(ValueError, match="BASE_IMAGE"):
        dotenv.with_block("", {"BASE_IMAGE": "x\nHTTP_PORT=1"})


def test_writing_keeps_the_files_mode_and_leaves_nothing_else_behind(tmp_path):
    path = tmp_path / ".env"
    path.write_text("A=1\n")
    path.chmod(0o640)
    assert dotenv.write_block(path, IMAGES) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert dotenv.write_block(path, IMAGES) is False
    assert os.listdir(tmp_path) == [".env"]


def test_a_missing_file_is_made_only_when_there_is_something_to_write(tmp_path):
    path = tmp_path / ".env"
    assert dotenv.write_block(path, {}) is False
    assert not path.exists()
    assert dotenv.write_block(path, IMAGES) is True
    assert dotenv.block_of(path.read_text()) == IMAGES


def test_a_symbolic_link_stays_one(tmp_path):
    real = tmp_path / "real"
    real.write_text("A=1\n")
    link = tmp_path / ".env"
    link.symlink_to(real)
    dotenv.write_block(link, IMAGES)
    assert link.is_symlink()
    assert "BASE_IMAGE" in real.read_text()


def test_a_failed_write_leaves_the_old_file_and_no_new_one(tmp_path, monkeypatch):
    path = tmp_path / ".env"
    path.write_text("A=1\n")

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space"):
        dotenv.write_block(path, IMAGES)
    assert path.read_text() == "A=1\n"
    assert os.listdir(tmp_path) == [".env"]


def test_a_file_that_is_not_text_is_named_with_the_remedy(tmp_path):
    path = tmp_path / ".env"
    path.write_bytes(b"A=\xff\xfe")
    with pytest.raises(Problem, match=r"not UTF-8.*at byte 2") as caught:
        dotenv.read(path)
    assert "Save it as UTF-8" in caught.value.remedy
