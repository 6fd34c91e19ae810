"""Shows a person how far things are: a live picture on a terminal, one line for each change elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

from infra.launcher.services import FAILED, WAITING, WELL, WORKING, State

MARKS = {WELL: "✓", WORKING: "…", WAITING: "·", FAILED: "✗"}
PLAIN_MARKS = {WELL: "ok", WORKING: "..", WAITING: " .", FAILED: "!!"}
COLOURS = {WELL: "32", WORKING: "33", WAITING: "2", FAILED: "31"}


class Screen:
    """Writes to a stream; knows whether it is a terminal, how wide, and whether it can show colours and
    signs.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self.live and not os.environ.get("NO_COLOR")
        self._signs = (getattr(self.stream, "encoding", "") or "").lower().replace("-", "") == "utf8"
        self._drawn = 0

    def say(self, line: str = "") -> None:
        """A line that stays."""
        self.clear()
        self._write(line + "\n")

    def good(self, line: str) -> None:
        self.say(f"{self.mark(WELL)} {line}")

    def bad(self, line: str) -> None:
        self.say(f"{self.mark(FAILED)} {line}")

    def draw(self, lines: list[str]) -> None:
        """Lines that the next thing said replaces; nothing where the stream is not a terminal."""
        if not self.live:
            return
        size = shutil.get_terminal_size()
        lines = [line[: size.columns - 1] for line in lines[: size.lines - 1]]
        self._write(self._up() + "".join(f"\x1b[2K{line}\n" for line in lines) + "\x1b[J")
        self._drawn = len(lines)

    def clear(self) -> None:
        if self._drawn:
            self._write(self._up() + "\x1b[J")
            self._drawn = 0

    def mark(self, phase: str) -> str:
        sign = (MARKS if self._signs else PLAIN_MARKS)[phase]
        return f"\x1b[{COLOURS[phase]}m{sign}\x1b[0m" if self._colour else sign

    def _up(self) -> str:
        return f"\x1b[{self._drawn}A\r" if self._drawn else ""

    def _write(self, text: str) -> None:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        self.stream.write(text.encode(encoding, errors="replace").decode(encoding))
        self.stream.flush()


class Watch:
    """Shows the states of services again and again: one line each on a terminal, one line for a change
    elsewhere.
    """

    def __init__(self, screen: Screen) -> None:
        self.screen, self._began = screen, time.monotonic()
        self._told: dict[str, str] = {}

    def update(self, states: list[State]) -> None:
        width = max((len(state.service) for state in states), default=0)
        well = sum(state.phase == WELL for state in states)
        self.screen.draw(
            [
                *(f"  {self._line(state, width)}" for state in states),
                f"  {well} of {len(states)} ready, {seconds(time.monotonic() - self._began)}",
            ]
        )
        for state in states:
            if (
                not self.screen.live
                and self._told.get(state.service) != state.words
                and state.phase != WAITING
            ):
                at = seconds(time.monotonic() - self._began)
                self.screen.say(f"  {at:>12}  {self._line(state, width)}")
                self._told[state.service] = state.words

    def finish(self, states: list[State]) -> None:
        """Leaves the last picture on the terminal."""
        width = max((len(state.service) for state in states), default=0)
        if self.screen.live:
            self.screen.clear()
            for state in states:
                self.screen.say(f"  {self._line(state, width)}")

    def _line(self, state: State, width: int) -> str:
        return f"{self.screen.mark(state.phase)} {state.service:<{width}}  {state.words}"


def seconds(count: float) -> str:
    """`7 s`, `2 min 05 s`."""
    whole = int(count)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"


def size(count: float) -> str:
    """Bytes for people: `812 MiB`, `9.4 GiB`."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
