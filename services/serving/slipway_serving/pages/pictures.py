"""The last hour as two SVG pictures: how many requests, and how long they took.

Colours are the style sheet's. Every picture has a sentence that says the same, for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from markupsafe import Markup

from ..history import Minute, percentile

WIDTH, HEIGHT = 720, 200
LEFT, RIGHT, TOP, BOTTOM = 64, 8, 12, 26
_STEP = (WIDTH - LEFT - RIGHT) / 60
_PLOT = HEIGHT - TOP - BOTTOM


@dataclass(frozen=True)
class Picture:
    svg: Markup
    words: str
    empty: bool


def traffic(minutes: Sequence[Minute]) -> Picture:
    """A bar a minute: answered, and on top of it refused and failed."""
    most = max((minute.answered + minute.refused + minute.failed for minute in minutes), default=0)
    top = _round_up(most)
    parts = [
        _grid([(0, "0"), (top / 2, _short(top / 2)), (top, _short(top))], lambda value: _linear(value, top))
    ]
    for i, minute in enumerate(minutes):
        below = 0
        for kind in ("answered", "refused", "failed"):
            count = getattr(minute, kind)
            if count:
                y, base = _linear(below + count, top), _linear(below, top)
                parts.append(
                    f'<rect class="{kind}" x="{LEFT + i * _STEP + 1:.1f}" y="{y:.1f}" width="{_STEP - 2:.1f}"'
                    f' height="{max(base - y, 1):.1f}"><title>{_clock(minute)}: {count} {kind}</title></rect>'
                )
            below += count
    answered, refused, failed = (
        sum(getattr(minute, kind) for minute in minutes) for kind in ("answered", "refused", "failed")
    )
    total = answered + refused + failed
    words = (
        f"{total:,} requests in the last hour: {answered:,} answered, {refused:,} refused, {failed:,} failed;"
        f" {most:,} in the busiest minute."
        if total
        else "No requests in the last hour."
    )
    return Picture(_svg(parts, minutes, words), words, not total)


def latency(minutes: Sequence[Minute]) -> Picture:
    """Two lines, the median and the 99th percentile, on a logarithmic scale."""
    values = {share: [minute.percentile(share) for minute in minutes] for share in (0.5, 0.99)}
    known = [value for line in values.values() for value in line if value is not None]
    low = 10 ** math.floor(math.log10(min(known))) if known else 1e-4
    high = max(10 ** math.ceil(math.log10(max(known))), low * 10) if known else 1e-2
    decades = round(math.log10(high / low))

    def place(seconds: float) -> float:
        return TOP + _PLOT * (1 - math.log10(seconds / low) / decades)

    parts = [_grid([(low * 10**i, _seconds(low * 10**i)) for i in range(decades + 1)], place)]
    for share, kind in ((0.5, "median"), (0.99, "slowest")):
        for run in _runs(values[share]):
            points = " ".join(f"{LEFT + (i + 0.5) * _STEP:.1f},{place(value):.1f}" for i, value in run)
            parts.append(f'<polyline class="{kind}" points="{points}"/>')
            parts += [
                f'<circle class="{kind}" cx="{LEFT + (i + 0.5) * _STEP:.1f}" cy="{place(value):.1f}" r="2.5">'
                f"<title>{_clock(minutes[i])}: {_seconds(value)}</title></circle>"
                for i, value in run
            ]
    whole = [sum(column) for column in zip(*(minute.seconds for minute in minutes), strict=True)]
    half, most = percentile(whole, 0.5), percentile(whole, 0.99)
    words = "Nothing was answered in the last hour."
    if half is not None and most is not None:
        words = f"In the last hour half of the answers took less than {_seconds(half)},"
        words += f" 99 % less than {_seconds(most)}."
    return Picture(_svg(parts, minutes, words), words, half is None)


def _svg(parts: list[str], minutes: Sequence[Minute], words: str) -> Markup:
    times = []
    for i in (0, 15, 30, 45, len(minutes) - 1):
        anchor = "end" if i == len(minutes) - 1 else "middle" if i else "start"
        times.append(
            f'<text x="{LEFT + (i + 0.5) * _STEP:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">'
            f"{_clock(minutes[i])}</text>"
        )
    inside = "".join([*parts, *times])
    head = f'<svg class="picture" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words)}">'
    return Markup(f"{head}{inside}</svg>")  # noqa: S704 - numbers and our own words alone


def _grid(marks: Sequence[tuple[float, str]], place: Callable[[float], float]) -> str:
    lines = ""
    for value, words in marks:
        y = place(value)
        lines += f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        lines += f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
    return lines


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """The stretches without a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for i, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((i, value))
    return [run for run in runs if run]


def _linear(value: float, top: float) -> float:
    return TOP + _PLOT * (1 - value / top)


def _round_up(value: float) -> float:
    """The next of 2, 4, 10, 20, 40, 100 …: a scale whose middle is a whole number."""
    step = 2.0
    for factor in (2, 2.5, 2) * 12:
        if step >= value:
            break
        step *= factor
    return step


def _short(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _seconds(value: float) -> str:
    if value < 0.001:
        return f"{_digits(value * 1e6)} µs"
    return f"{_digits(value * 1e3)} ms" if value < 1 else f"{_digits(value)} s"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{float(f'{value:.2g}'):g}"


def _clock(minute: Minute) -> str:
    return f"{datetime.fromtimestamp(minute.at * 60, UTC):%H:%M}"
