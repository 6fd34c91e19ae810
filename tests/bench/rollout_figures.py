"""What callers notice of a rollout: latency while a version is fetched, prepared and swapped in, beside the
steady one.

    python -m tests.bench.rollout_figures [--kind forest] [--moves 20] [--clients 16]

Serving follows a real MLflow registry and checks a signed key and every row; two versions of one model go
back and forth while clients ask without a pause. The first move is told apart: its version comes for the
first time and is prepared, the others were live before. The clients share the machine with what they
measure.
"""

from __future__ import annotations

import argparse
import sys
import time

import httpx

from tests.bench.figures import Rows
from tests.bench.serving_figures import FOLDER
from tests.bench.serving_ours import Ours
from tests.support.load import Answer, Load, percentile
from tests.support.model_kinds import kind
from tests.support.processes import Processes, eventually

STEADY_SECONDS = 10
AROUND = 0.1
"""Seconds before and after a move that count to it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", default="forest", help="a model of tests/support/model_kinds.py")
    parser.add_argument("--moves", type=int, default=20)
    parser.add_argument("--clients", type=int, default=16)
    chosen = parser.parse_args()
    folder = FOLDER / "rollouts"
    folder.mkdir(parents=True, exist_ok=True)
    processes = Processes(folder)
    ours = Ours(folder, processes)
    rows = Rows()
    try:
        failed = measure(ours, chosen.kind, chosen.moves, chosen.clients, rows)
    finally:
        ours.close()
        processes.stop_all()
    print(rows.table())
    return 1 if failed else 0


def measure(ours: Ours, name: str, moves: int, clients: int, rows: Rows) -> int:
    """The number of requests that were not answered."""
    ours.register([name])
    server = ours.start([name])
    first = live_version(ours, server.url, name)
    second = kind(name).log(name)
    request = server.request(kind(name).frame.head(1))
    times: list[tuple[float, float]] = []
    with Load(server.url + request.path, request.headers, request.body, clients, pause=0) as load:
        time.sleep(STEADY_SECONDS)
        for number in range(moves):
            version = second if number % 2 == 0 else first
            began = time.monotonic()
            ours.client.set_registered_model_alias(name, "production", version)
            live = eventually(lambda v=version: live_version(ours, server.url, name) == v, 120, pause=0.05)
            if not live:
                sys.exit(f"version {version} did not go live: {ours.described(server.url, name)}")
            times.append((began, time.monotonic()))
            time.sleep(1)
    tell(rows, load.answers, times, load.summary() if load.failed() else "none")
    return len(load.failed())


def live_version(ours: Ours, url: str, name: str) -> str | None:
    try:
        return ours.described(url, name).get("version")
    except httpx.HTTPError:
        return None


def tell(rows: Rows, answers: list[Answer], times: list[tuple[float, float]], failed: str) -> None:
    def during(one: Answer, moves: list[tuple[float, float]]) -> bool:
        return any(began - AROUND <= one.came and one.sent <= ended + AROUND for began, ended in moves)

    steady = [one.seconds for one in answers if not during(one, times)]
    coming = [one.seconds for one in answers if during(one, times[:1])]
    again = [one.seconds for one in answers if during(one, times[1:])]
    rows.note("requests, and those not answered", f"{len(answers):,}, {failed}")
    rows.note("steady, p50 / p99", _both(steady))
    rows.note(
        f"a version that is new, live after {times[0][1] - times[0][0]:.1f} s, p50 / p99", _both(coming)
    )
    rows.note("a version that was live before, p50 / p99", _both(again))
    worst = max(percentile(coming, 99), percentile(again, 99)) / percentile(steady, 99)
    rows.note("p99 while rolling out, against the steady one", f"{worst:.2f} times")


def _both(seconds: list[float]) -> str:
    return f"{percentile(seconds, 50):.1f} / {percentile(seconds, 99):.1f} ms"


if __name__ == "__main__":
    sys.exit(main())
