"""Finds the fastest runtime that answers as the native model does, once, when a version is loaded.

Runs in small pieces; beside a process that serves, in one of its own (`prepare_child`). The rule: of those
that agree everywhere, the one with the smallest geometric mean of the times for 1 and for 64 rows; another
than MLflow's own interface must be a tenth faster than it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import first_line
from . import Loaded, Runtime, Unsuitable, agreement, histogram, native, neighbours, onnx, tables, trees
from .draws import Draws
from .pyfunc import Pyfunc, offer_direct
from .trial import Trial, rows_of, take

log = logging.getLogger(__name__)

CANDIDATES = {
    "direct": offer_direct,
    "sklearn": native.offer,
    "neighbours": neighbours.offer,
    "tables": tables.offer,
    "trees": trees.offer,
    "histogram": histogram.offer,
    "onnx": onnx.offer,
}
RULE = "smallest geometric mean of the times for 1 and for 64 rows, and a tenth less than pyfunc's"
_ROWS, _PIECE, _EDGES = 4096, 512, 64
_QUICK_ROWS, _QUICK_PIECE = 512, 256
_SLOW_TO_MAKE = ("onnx", "tables")
_REFERENCE_SHARE = 0.1  # of the time limit, for the native model's answers: a slow one is compared on fewer
_WORTH = 0.9


class TimeUp(Exception):
    pass


@dataclass(frozen=True)
class Prepared:
    """The runtime to use, the reference it was compared with, and the report for people.

    row_wise: a row's prediction does not depend on the rows beside it, so requests may be run together.
    """

    runtime: Runtime
    reference: Pyfunc
    report: dict[str, Any]
    row_wise: bool = False
    seconds: dict[int, float] = field(default_factory=dict)


def prepare(
    loaded: Loaded,
    draw: Callable[[], Draws | None],
    limit: float = 30,
    pin: str | None = None,
    quick: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Prepared:
    """Never fails: what goes wrong ends with MLflow's own interface, and with the reason in the report.

    limit: seconds, by `clock`; quick: a first look, on fewer inputs and without what takes long to make.
    """
    preparation = _Preparation(loaded, limit, pin, quick, clock)
    try:
        preparation.run(draw)
    except TimeUp:
        preparation.error = f"the time limit of {limit:g} s was reached"
    except Exception as error:
        log.warning("preparing a model failed, it is served through pyfunc", exc_info=error)
        preparation.error = first_line(error)
    return preparation.result()


def blank_report(pin: str | None, error: str | None, why: str) -> dict[str, Any]:
    """The report where nothing was tried; why: the reason, for each candidate."""
    others = (Trial(name, state="not tried", reason=why) for name in CANDIDATES)
    return {
        "runtime": "pyfunc",
        "pinned": pin,
        "rule": RULE,
        "tolerance": agreement.TOLERANCE,
        "row_wise": False,
        "seconds": 0.0,
        "error": error,
        "candidates": [trial.report() for trial in (Trial("pyfunc", state="chosen"), *others)],
    }


class _Preparation:
    def __init__(
        self, loaded: Loaded, limit: float, pin: str | None, quick: bool, clock: Callable[[], float]
    ):
        self._loaded, self._limit, self._pin, self._quick, self._clock = loaded, limit, pin, quick, clock
        self._began = self._clock()
        self._reference = Trial("pyfunc", Pyfunc(loaded))
        self._trials: list[Trial] = []
        self._pieces: list[tuple[Any, Any]] = []
        self._row_wise = False
        self.error: str | None = None

    def run(self, draw: Callable[[], Draws | None]) -> None:
        if self._pin == "pyfunc":
            return
        if self._pin is not None and self._pin not in CANDIDATES:
            self.error = f"there is no runtime {self._pin!r}: choose pyfunc, {', '.join(CANDIDATES)}"
        draws = draw()
        if draws is None:
            self.error = self.error or "without a signature of columns or rows, inputs cannot be drawn"
            return
        if not self._ask_reference(draws):
            return
        self._row_wise = self._is_row_wise()
        self._reference.measure(self._pieces, self._check_time)
        for name, offer in CANDIDATES.items():
            if self._pin in CANDIDATES and name != self._pin:
                self._trials.append(Trial(name, state="not tried", reason=f"{self._pin} is pinned"))
            elif self._quick and name in _SLOW_TO_MAKE:
                self._trials.append(Trial(name, state="not tried", reason="it takes long to make"))
            else:
                self._trials.append(self._try(name, offer))

    def result(self) -> Prepared:
        chosen = self._choose()
        chosen.state = "chosen"
        tried = [trial.name for trial in self._trials]
        for name in CANDIDATES:
            if name not in tried:
                self._trials.append(Trial(name, state="not tried", reason=self.error or "pyfunc is pinned"))
        report = {
            "runtime": chosen.name,
            "pinned": self._pin,
            "rule": RULE,
            "tolerance": agreement.TOLERANCE,
            "row_wise": self._row_wise,
            "seconds": round(self._clock() - self._began, 2),
            "error": self.error,
            "candidates": [trial.report() for trial in (self._reference, *self._trials)],
        }
        reference = self._reference.runtime
        return Prepared(chosen.runtime, reference, report, self._row_wise, dict(chosen.seconds))  # type: ignore[arg-type]

    def _choose(self) -> Trial:
        fit = [trial for trial in self._trials if trial.state == "kept" and {1, 64} <= trial.seconds.keys()]
        best = min(fit, key=lambda trial: trial.score, default=self._reference)
        if best is not self._reference and self._pin is None and best.score > self._reference.score * _WORTH:
            return self._reference
        return best

    def _check_time(self) -> None:
        time.sleep(0)  # whoever waits for Python's lock may have it
        if self._clock() - self._began > self._limit:
            raise TimeUp

    def _ask_reference(self, draws: Draws) -> bool:
        """The native model's answers; False where it cannot be compared with anything."""
        began = self._clock()
        rows, piece = (_QUICK_ROWS, _QUICK_PIECE) if self._quick else (_ROWS, _PIECE)
        for data in draws.ordinary(rows, piece):
            if self._pieces and self._clock() - began > self._limit * _REFERENCE_SHARE:
                break
            self._pieces.append((data, self._reference_answer(data)))
            self._check_time()
        first, answer = self._pieces[0]
        again = self._reference_answer(first)
        if not isinstance(answer, Exception) and (
            isinstance(again, Exception) or not np.all(agreement.agreeing(answer, again))
        ):
            self.error = "asked the same twice it answers differently: there is nothing to compare with"
            return False
        for data in draws.edges(_EDGES):
            if self._clock() - began > 2 * self._limit * _REFERENCE_SHARE:
                break
            self._pieces.append((data, self._reference_answer(data)))
            self._check_time()
        return True

    def _reference_answer(self, data: Any) -> Any:
        try:
            return self._reference.runtime.predict(data)  # type: ignore[union-attr]
        except Exception as error:
            return error

    def _is_row_wise(self) -> bool:
        began = self._clock()
        data, answer = self._pieces[0]
        if isinstance(answer, Exception) or agreement.rows_of(answer) != len(data):
            return False
        for i in range(16):
            if i > 1 and self._clock() - began > self._limit * _REFERENCE_SHARE / 2:
                break
            alone = self._reference_answer(take(data, slice(i, i + 1)))
            if isinstance(alone, Exception) or agreement.rows_of(alone) != 1:
                return False
            if not np.all(agreement.agreeing(rows_of(answer, slice(i, i + 1)), alone)):
                return False
            self._check_time()
        return True

    def _try(self, name: str, offer: Any) -> Trial:
        trial = Trial(name)
        left = self._limit - (self._clock() - self._began)
        try:
            trial.runtime = offer(replace(self._loaded, seconds=left))
            trial.compare(self._pieces, self._check_time)
            if trial.state == "kept":
                trial.compare_probabilities(self._reference.runtime, self._pieces, self._check_time)  # type: ignore[arg-type]
            if trial.state == "kept":
                trial.measure(self._pieces, self._check_time)
        except Unsuitable as error:
            trial.drop(str(error), "unsuitable")
        except TimeUp:
            trial.drop("the time limit was reached before it was compared")
            self._trials.append(trial)
            raise
        except Exception as error:
            trial.drop(first_line(error))
        return trial
