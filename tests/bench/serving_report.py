"""The figures of serving as Markdown: each aim, what was reached of it, and every figure behind that."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

OURS, BASE, NOOP = "Slipway", "mlflow models serve", "no-op FastAPI route"
Samples = list[dict[str, Any]]


@dataclass(frozen=True)
class Aim:
    """measure: what was measured -> the figure, None where it was not measured."""

    what: str
    against: str
    wanted: float
    measure: Callable[[Figures], float | None]
    at_most: bool = False

    def row(self, figures: Figures) -> str:
        got = self.measure(figures)
        sign = "≤" if self.at_most else "≥"
        wanted = f"{sign} {self.wanted:g}x"
        if got is None:
            return f"| {self.what} | {self.against} | {wanted} | not measured | |"
        reached = got <= self.wanted if self.at_most else got >= self.wanted
        return f"| {self.what} | {self.against} | {wanted} | {got:.2f}x | {'yes' if reached else '**no**'} |"


class Figures:
    def __init__(self, samples: Samples, memory: dict[str, float]) -> None:
        self.samples, self.memory = samples, memory

    def of(self, kind: str, load: str, peer: str) -> dict[int, dict[str, float]]:
        """By round."""
        return {
            one["round"]: one
            for one in self.samples
            if (one["kind"], one["load"], one["peer"]) == (kind, load, peer) and not one["wrong"]
        }

    def median(self, kind: str, load: str, peer: str, figure: str = "requests_per_second") -> float | None:
        rounds = self.of(kind, load, peer).values()
        return statistics.median(one[figure] for one in rounds) if rounds else None

    def times(self, kind: str, load: str, other: str, own_load: str | None = None) -> float | None:
        """How many times the other's rate: the median over rounds, since neighbours in time are alike."""
        own, its = self.of(kind, own_load or load, OURS), self.of(kind, load, other)
        both = own.keys() & its.keys()
        # A server that answered nothing in its time is not so many times slower.
        rates = [(own[i]["requests_per_second"], its[i]["requests_per_second"]) for i in both]
        ratios = [ours / theirs for ours, theirs in rates if theirs]
        return statistics.median(ratios) if ratios else None

    def best_peer(self, kind: str, load: str) -> str | None:
        """Of all that are servers of models, `mlflow models serve` included."""
        peers = {one["peer"] for one in self.samples} - {OURS, NOOP}
        rates = {peer: self.median(kind, load, peer) for peer in peers}
        known = {peer: rate for peer, rate in rates.items() if rate is not None}
        return max(known, key=lambda peer: known[peer], default=None)

    def times_best(self, kind: str, load: str) -> float | None:
        best = self.best_peer(kind, load)
        return self.times(kind, load, best) if best else None

    def spread(self, kind: str, load: str) -> float | None:
        p50, p99 = self.median(kind, load, OURS, "p50"), self.median(kind, load, OURS, "p99")
        return p99 / p50 if p50 and p99 else None

    def memory_share(self) -> float | None:
        own, base = self.memory.get(OURS), self.memory.get(BASE)
        return own / base if own and base else None


def _against_both(what: str, kind: str, load: str, base: float, best: float) -> list[Aim]:
    return [
        Aim(what, BASE, base, lambda figures: figures.times(kind, load, BASE)),
        Aim(what, "best peer", best, lambda figures: figures.times_best(kind, load)),
    ]


def _aims(kinds: list[str]) -> list[Aim]:
    aims = [
        *_against_both("forest, one row, c16", "forest", "1 row, c16", 300, 10),
        *_against_both("KNN, one row, c16", "knn", "1 row, c16", 45, 6),
    ]
    for kind in ("knn", "forest"):
        aims.append(_against_noop(kind))
    aims += _against_both("a model only pyfunc can run, c16", "custom", "1 row, c16", 5, 1.5)
    for kind in kinds:
        aims += _against_both(f"bulk, 10,000 rows, {kind}", kind, "10,000 rows", 2.5, 1.3)
    aims += [_steady(kind) for kind in ("knn", "forest")]
    aims.append(
        Aim("memory, both example models", BASE, 0.5, lambda figures: figures.memory_share(), at_most=True)
    )
    return aims


def _against_noop(kind: str) -> Aim:
    return Aim(f"cheap kernel, c16: {kind}", NOOP, 1, lambda figures: figures.times(kind, "1 row, c16", NOOP))


def _steady(kind: str) -> Aim:
    return Aim(
        f"p99 at c16, {kind}", "its p50", 3, lambda figures: figures.spread(kind, "1 row, c16"), at_most=True
    )


def report(samples: Samples, memory: dict[str, float], notes: list[str]) -> str:
    figures = Figures(samples, memory)
    kinds = list(dict.fromkeys(one["kind"] for one in samples))
    loads = list(dict.fromkeys(one["load"] for one in samples))
    peers = list(dict.fromkeys(one["peer"] for one in samples))
    lines = ["| what | against | aim | measured | reached |", "| --- | --- | --- | --- | --- |"]
    lines += [aim.row(figures) for aim in _aims(kinds)]
    lines += ["", *_ratios(figures, kinds, loads)]
    for kind in kinds:
        lines += ["", f"**{kind}**: requests/s (p50/p99 ms), medians", ""]
        lines += ["| | " + " | ".join(loads) + " |", "| --- |" + " --- |" * len(loads)]
        lines += [
            f"| {peer} | " + " | ".join(_cell(figures, kind, load, peer) for load in loads) + " |"
            for peer in peers
        ]
    lines += ["", *_costs(figures, kinds, loads, peers)]
    if memory:
        lines += ["", "| memory (PSS) | MB |", "| --- | --- |"]
        lines += [f"| {name} | {size:.0f} |" for name, size in memory.items()]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)])


def _ratios(figures: Figures, kinds: list[str], loads: list[str]) -> list[str]:
    lines = [
        "| Slipway's rate against | load | mlflow models serve | best peer | no-op route |",
        "| --- | --- | --- | --- | --- |",
    ]
    for kind in kinds:
        for load in loads:
            plain = load.removesuffix(", Arrow")  # peers have no Arrow: their JSON of the same rows
            best = figures.best_peer(kind, plain)
            base = figures.times(kind, plain, BASE, load)
            times = figures.times(kind, plain, best, load) if best else None
            noop = figures.times(kind, plain, NOOP, load) if plain.startswith("1 row") else None
            if base is not None or times is not None:
                named = f"{_times(times)} ({best})" if best else ""
                lines.append(f"| {kind} | {load} | {_times(base)} | {named} | {_times(noop)} |")
    return lines


def _costs(figures: Figures, kinds: list[str], loads: list[str], peers: list[str]) -> list[str]:
    load = next((load for load in ("1 row, c16", *loads) if load in loads), None)
    if load is None:
        return []
    lines = [f"| microseconds of processor a request, {load} | " + " | ".join(kinds) + " |"]
    lines.append("| --- |" + " --- |" * len(kinds))
    for peer in peers:
        costs = [figures.median(kind, load, peer, "processor_us") for kind in kinds]
        lines.append(f"| {peer} | " + " | ".join("" if one is None else f"{one:.0f}" for one in costs) + " |")
    return lines


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}x"


def _cell(figures: Figures, kind: str, load: str, peer: str) -> str:
    rate = figures.median(kind, load, peer)
    if rate is None:
        return ""
    p50, p99 = (figures.median(kind, load, peer, figure) for figure in ("p50", "p99"))
    return f"{rate:.0f} ({p50:.1f}/{p99:.1f})" if rate >= 10 else f"{rate:.2f} ({p50:.0f}/{p99:.0f})"
