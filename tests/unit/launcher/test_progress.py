"""What a person sees: a picture on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import io

import pytest

from infra.launcher.progress import Screen, Watch, seconds, size
from infra.launcher.services import WAITING, WELL, WORKING, State


class Terminal(io.StringIO):
    encoding = "UTF-8"

    def isatty(self) -> bool:
        return True


def test_elsewhere_each_change_is_one_line_and_waiting_is_none(screen, said):
    watch = Watch(screen)
    for states in (
        [State("hub", WAITING, "waits for others", None), State("db", WORKING, "starting", None)],
        [State("hub", WAITING, "waits for others", None), State("db", WORKING, "starting", None)],
        [State("hub", WORKING, "starting", None), State("db", WELL, "healthy", None)],
    ):
        watch.update(states)
    lines = said().splitlines()
    assert len(lines) == 3
    assert "db" in lines[0] and "starting" in lines[0]
    assert "healthy" in lines[2] or "healthy" in lines[1]
    assert "\x1b" not in said()


def test_on_a_terminal_the_picture_is_drawn_over_the_last_one(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.draw(["one", "two"])
    screen.draw(["three"])
    assert "\x1b[2A" in terminal.getvalue()
    screen.say("stays")
    assert terminal.getvalue().endswith("\x1b[1A\r\x1b[Jstays\n")


def test_a_picture_never_grows_past_the_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("shutil.get_terminal_size", lambda: __import__("os").terminal_size((20, 5)))
    terminal = Terminal()
    Screen(terminal).draw(["x" * 50] * 50)
    drawn = [line.replace("\x1b[2K", "").replace("\x1b[J", "") for line in terminal.getvalue().splitlines()]
    assert len([line for line in drawn if line]) == 4
    assert max(map(len, drawn)) == 19


def test_colours_are_left_out_when_asked_and_signs_where_they_cannot_be_shown(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen(Terminal()).mark(WELL) == "✓"
    plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    assert Screen(plain).mark(WELL) == "ok"


def test_text_that_a_terminal_cannot_write_stops_nothing():
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Screen(terminal).say("ж → ok")
    assert terminal.buffer.getvalue() == b"? ? ok\n"


@pytest.mark.parametrize(("count", "words"), [(7.9, "7 s"), (125, "2 min 05 s"), (60, "1 min 00 s")])
def test_time_is_written_for_people(count, words):
    assert seconds(count) == words


@pytest.mark.parametrize(
    ("count", "words"), [(512, "512 B"), (812 * 1024**2, "812 MiB"), (9.4 * 1024**3, "9.4 GiB")]
)
def test_sizes_are_written_for_people(count, words):
    assert size(count) == words
