"""Finds the fastest runtime that answers as the native model does, once, when a version is loaded.

Runs in the loading thread in small pieces, so that requests go on beside it; the one long piece, converting
to ONNX, is a process of its own. The rule: of those that agree everywhere, the one with the smallest
geometric mean of the times for 1 and for 64 rows; another than MLflow's own interface must be a tenth faster
than it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import first_line
from ..table import Table, stacked
from . import Loaded, Runtime, Unsuitable, agreement, native, neighbours, onnx, trees
from .draws import Draws
from .pyfunc import Pyfunc, offer_direct

log = logging.getLogger(__name__)

CANDIDATES = {
    "direct": offer_direct,
    "sklearn": native.offer,
    "neighbours": neighbours.offer,
    "trees": trees.offer,
    "onnx": onnx.offer,
}
SIZES = (1, 64, 1024)
RULE = "smallest geometric mean of the times for 1 and for 64 rows, and a tenth less than pyfunc's"
_ROWS, _PIECE, _EDGES = 4096, 512, 64
_REFERENCE_SHARE = 0.1  # of the time limit, for the native model's answers: a slow one is compared on fewer
_REPEATS, _MEASURE_SECONDS = 5, 0.03
_WORTH = 0.9


class TimeUp(Exception):
    pass


@dataclass
class Trial:
    """What is known of one candidate."""

    name: str
    runtime: Runtime | None = None
    state: str = "kept"
    reason: str | None = None
    compared: int = 0
    agreed: int = 0
    handed_back: int = 0
    seconds: dict[int, float] = field(default_factory=dict)

    def drop(self, reason: str, state: str = "dropped") -> None:
        self.state, self.reason = state, reason

    def report(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": self.state,
            "reason": self.reason,
            "agreed": self.agreed,
            "compared": self.compared,
            "handed_back": self.handed_back,
            "probabilities": bool(self.runtime and self.runtime.probabilities),
            "microseconds_per_row": {
                str(size): round(seconds / size * 1e6, 2) for size, seconds in self.seconds.items()
            },
        }


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
    loaded: Loaded, draw: Callable[[], Draws | None], limit: float = 30, pin: str | None = None
) -> Prepared:
    """Never fails: what goes wrong ends with MLflow's own interface, and with the reason in the report."""
    preparation = _Preparation(loaded, limit, pin)
    try:
        preparation.run(draw)
    except TimeUp:
        preparation.error = f"the time limit of {limit:g} s was reached"
    except Exception as error:
        log.warning("preparing a model failed, it is served through pyfunc", exc_info=error)
        preparation.error = first_line(error)
    return preparation.result()


class _Preparation:
    def __init__(self, loaded: Loaded, limit: float, pin: str | None):
        self._loaded, self._limit, self._pin = loaded, limit, pin
        self._began = time.monotonic()
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
        self._measure(self._reference)
        for name, offer in CANDIDATES.items():
            if self._pin in CANDIDATES and name != self._pin:
                self._trials.append(Trial(name, state="not tried", reason=f"{self._pin} is pinned"))
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
            "seconds": round(time.monotonic() - self._began, 2),
            "error": self.error,
            "candidates": [trial.report() for trial in (self._reference, *self._trials)],
        }
        reference = self._reference.runtime
        return Prepared(chosen.runtime, reference, report, self._row_wise, dict(chosen.seconds))  # type: ignore[arg-type]

    def _choose(self) -> Trial:
        fit = [trial for trial in self._trials if trial.state == "kept" and {1, 64} <= trial.seconds.keys()]
        best = min(fit, key=_score, default=self._reference)
        if (
            best is not self._reference
            and self._pin is None
            and _score(best) > _score(self._reference) * _WORTH
        ):
            return self._reference
        return best

    def _check_time(self) -> None:
        time.sleep(0)  # whoever waits for Python's lock may have it
        if time.monotonic() - self._began > self._limit:
            raise TimeUp

    def _ask_reference(self, draws: Draws) -> bool:
        """The native model's answers; False where it cannot be compared with anything."""
        began = time.monotonic()
        for data in draws.ordinary(_ROWS, _PIECE):
            if self._pieces and time.monotonic() - began > self._limit * _REFERENCE_SHARE:
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
            if time.monotonic() - began > 2 * self._limit * _REFERENCE_SHARE:
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
        began = time.monotonic()
        data, answer = self._pieces[0]
        if isinstance(answer, Exception) or agreement.rows_of(answer) != len(data):
            return False
        for i in range(16):
            if i > 1 and time.monotonic() - began > self._limit * _REFERENCE_SHARE / 2:
                break
            alone = self._reference_answer(_take(data, slice(i, i + 1)))
            if isinstance(alone, Exception) or agreement.rows_of(alone) != 1:
                return False
            if not np.all(agreement.agreeing(_rows(answer, slice(i, i + 1)), alone)):
                return False
            self._check_time()
        return True

    def _try(self, name: str, offer: Any) -> Trial:
        trial = Trial(name)
        left = self._limit - (time.monotonic() - self._began)
        try:
            trial.runtime = offer(replace(self._loaded, seconds=left))
            self._compare(trial)
            if trial.state == "kept":
                self._compare_probabilities(trial)
            if trial.state == "kept":
                self._measure(trial)
        except Unsuitable as error:
            trial.drop(str(error), "unsuitable")
        except TimeUp:
            trial.drop("the time limit was reached before it was compared")
            self._trials.append(trial)
            raise
        except Exception as error:
            trial.drop(first_line(error))
        return trial

    def _compare(self, trial: Trial) -> None:
        ordinary_back = 0
        for data, answer in self._pieces:
            self._check_time()
            size = len(data)
            try:
                own = trial.runtime.predict(data)  # type: ignore[union-attr]
            except Exception as error:
                # Served so, the request would go to the reference: no wrong answer, but no use either.
                trial.handed_back += size
                ordinary_back += size if size > 1 else 0
                trial.reason = trial.reason or first_line(error)
                continue
            trial.compared += size
            if isinstance(answer, Exception):
                trial.drop(f"it answers what the native model refuses ({first_line(answer)})")
                return
            same = agreement.agreeing(answer, own)
            agreed = int(np.sum(same)) if isinstance(same, np.ndarray) else size * bool(same)
            trial.agreed += agreed
            if agreed < size:
                trial.drop(f"{size - agreed} of {size} rows differ from the native model's")
                return
        if ordinary_back * 2 > sum(len(data) for data, _ in self._pieces if len(data) > 1):
            trial.drop(f"it cannot run most inputs ({trial.reason})")
        else:
            trial.reason = None

    def _compare_probabilities(self, trial: Trial) -> None:
        if not (trial.runtime.probabilities and self._reference.runtime.probabilities):  # type: ignore[union-attr]
            return
        for data, answer in self._pieces[:2]:
            if isinstance(answer, Exception):
                continue
            expected = self._reference.runtime.predict_proba(data)  # type: ignore[union-attr]
            # A probability is a number between 0 and 1: what float32 rounds of it is not told apart.
            own = trial.runtime.predict_proba(data)  # type: ignore[union-attr]
            if np.shape(own) != np.shape(expected) or not np.allclose(own, expected, rtol=0, atol=1e-5):
                trial.drop("its probabilities differ from the native model's")
                return
            self._check_time()

    def _measure(self, trial: Trial) -> None:
        usable = [
            (data, answer)
            for data, answer in self._pieces
            if len(data) > 1 and not isinstance(answer, Exception)
        ]
        if not usable:
            return
        largest = _joined([data for data, _ in usable[: max(SIZES) // _PIECE]])
        for size in SIZES:
            if len(largest) < size or (size > 64 and trial.seconds.get(64, 0) > 1):
                break
            trial.seconds[size] = self._fastest(trial.runtime, _take(largest, slice(0, size)))

    def _fastest(self, runtime: Any, data: Any) -> float:
        """Of a few tries, as many as fit into a moment."""
        best, began = float("inf"), time.perf_counter()
        for _ in range(_REPEATS * 20):
            self._check_time()
            start = time.perf_counter()
            runtime.predict(data)
            end = time.perf_counter()
            best = min(best, end - start)
            if end - began > _MEASURE_SECONDS:
                break
        return best


def _score(trial: Trial) -> float:
    if not {1, 64} <= trial.seconds.keys():
        return float("inf")
    return (trial.seconds[1] * trial.seconds[64]) ** 0.5


def _take(data: Any, rows: slice) -> Any:
    return data.take(rows) if isinstance(data, Table) else data[rows]


def _rows(answer: Any, rows: slice) -> Any:
    return answer.iloc[rows] if hasattr(answer, "iloc") else answer[rows]


def _joined(pieces: list[Any]) -> Any:
    return stacked(pieces) if isinstance(pieces[0], Table) else np.concatenate(pieces)
