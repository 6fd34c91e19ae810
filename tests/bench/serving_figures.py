"""Slipway's model server beside its peers: the same models, the same rows, in the same run.

    python -m tests.bench.serving_figures [--rounds N] [--kinds knn,forest] [--peers BentoML] [--quick]

Each server has a virtual environment of its own under .slipway/bench/, made at the first run from a lock
with hashes. The load comes from wrk, Debian's package of that name (apt-get install wrk). Ours follows a real
MLflow registry and checks a signed key and every row. Each is sent the form of JSON that it reads fastest.
What a server answers is compared with the native model before it is measured. Rounds go through the servers
forwards and backwards in turn; figures are medians, ratios are taken round by round. A run that was broken
off goes on where it was; --fresh begins anew.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from tests.bench import serving_load, serving_peers, serving_profile, serving_report
from tests.bench.serving_load import LOADS, Load
from tests.bench.serving_ours import Ours
from tests.bench.serving_peers import PEERS, Server
from tests.bench.serving_report import BASE, NOOP, OURS
from tests.support.installation import REPOSITORY
from tests.support.model_kinds import MEASURED, Kind, kind
from tests.support.processes import Processes

FOLDER = REPOSITORY / ".slipway" / "bench"
ROUNDS, SECONDS, QUICK_SECONDS = 5, 3, 1
EXAMPLE = ["knn", "forest"]


class State:
    """What was measured so far, on disk after every figure; of another version or other options, nothing."""

    def __init__(self, file: Path, about: dict[str, Any], fresh: bool) -> None:
        self.file = file
        self.content: dict[str, Any] = {"about": about, "samples": [], "memory": {}, "notes": []}
        if file.exists() and not fresh:
            kept = json.loads(file.read_text())
            if kept["about"] == about:
                self.content = kept

    @property
    def samples(self) -> list[dict[str, Any]]:
        return self.content["samples"]

    def has(self, **which: Any) -> bool:
        return any(all(one[name] == value for name, value in which.items()) for one in self.samples)

    def add(self, **sample: Any) -> None:
        self.samples.append(sample)
        self._write()

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        if text not in self.content["notes"]:
            self.content["notes"].append(text)
            self._write()

    def remember_memory(self, name: str, megabytes: float) -> None:
        self.content["memory"][name] = megabytes
        self._write()

    def report(self) -> str:
        return serving_report.report(self.samples, self.content["memory"], self.content["notes"])

    def _write(self) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self.content, indent=1))
        new.replace(self.file)


class Run:
    def __init__(self, options: argparse.Namespace, processes: Processes, ours: Ours, state: State) -> None:
        self.options, self.processes, self.ours, self.state = options, processes, ours, state
        self.rounds = 1 if options.quick else options.rounds
        self.seconds = QUICK_SECONDS if options.quick else options.seconds
        self.loads = [load for load in LOADS if options.loads in load.name]

    def all(self) -> None:
        # Here and not beside their measurement, which would be disturbed.
        self.ours.register(list(dict.fromkeys([*self.options.kinds, *EXAMPLE])))
        if self.options.profile:
            for name in self.options.kinds:
                self._profile(name)
            return
        for name in self.options.kinds:
            self._measure_kind(name)
        if not self.options.no_memory and OURS in self.options.peers:
            self._measure_memory()

    def _measure_kind(self, name: str) -> None:
        one = kind(name)
        missing = [
            (number, peer, load)
            for number in range(1, self.rounds + 1)
            # Forwards and backwards in turn: what else the machine does hits all alike.
            for peer in (self.options.peers if number % 2 else self.options.peers[::-1])
            for load in self._loads(peer)
            if not self.state.has(kind=name, round=number, peer=peer, load=load.name)
        ]
        if not missing:
            return
        wanted = [peer for peer in self.options.peers if any(peer == one[1] for one in missing)]
        with self._servers(one, wanted) as servers:
            fit = self._fit(servers, one)
            for number, peer, load in missing:
                if (peer, load) not in fit:
                    continue
                figures = serving_load.offer(servers[peer], one, load, self.seconds, FOLDER)
                print(
                    f"{name}, round {number}, {peer}, {load.name}: {figures['requests_per_second']:.1f}/s,"
                    f" p50 {figures['p50']:.2f} ms, p99 {figures['p99']:.2f} ms",
                    file=sys.stderr,
                    flush=True,
                )
                if figures["wrong"]:
                    self.state.note(f"{peer}, {name}, {load.name}: {figures['wrong']} requests failed")
                self.state.add(kind=name, round=number, peer=peer, load=load.name, **figures)

    def _loads(self, peer: str) -> list[Load]:
        if peer == NOOP:
            return [load for load in self.loads if load.rows == 1]
        return [load for load in self.loads if peer == OURS or not load.arrow]

    @contextlib.contextmanager
    def _servers(self, one: Kind, peers: list[str]) -> Iterator[dict[str, Server]]:
        servers: dict[str, Server] = {}
        try:
            for peer in peers:
                print(f"starting {peer} with {one.name}", file=sys.stderr, flush=True)
                if peer == OURS:
                    servers[peer] = self.ours.start([one.name])
                    self._note_runtime(servers[peer], one.name)
                else:
                    start = serving_peers.noop if peer == NOOP else PEERS[peer]
                    servers[peer] = start(self.processes, FOLDER, one)
            yield servers
        finally:
            for server in servers.values():
                server.stop()

    def _fit(self, servers: dict[str, Server], one: Kind) -> set[tuple[str, Load]]:
        """What answers as the native model does, warm after being asked a while."""
        fit = set()
        for peer, server in servers.items():
            for load in self._loads(peer):
                wrong = None if peer == NOOP else serving_load.check(server, one, load)
                if wrong:
                    self.state.note(f"{peer} cannot be measured on {one.name}, {load.name}: {wrong}")
                    continue
                fit.add((peer, load))
                serving_load.offer(server, one, load, 1, FOLDER)
        return fit

    def _note_runtime(self, server: Server, name: str) -> None:
        prepared = self.ours.described(server.url, name)["preparation"]
        self.state.note(f"{name} is served by the runtime `{prepared['runtime']}`")
        if prepared["error"]:
            self.state.note(f"{name} was not wholly prepared: {prepared['error']}")

    def _profile(self, name: str) -> None:
        with self._servers(kind(name), [OURS]) as servers:
            for load in self.loads:
                serving_load.offer(servers[OURS], kind(name), load, 1, FOLDER)
                print(f"\n**{name}, {load.name}**\n")
                print(serving_profile.profile(servers[OURS], kind(name), load, FOLDER), flush=True)

    def _measure_memory(self) -> None:
        """After some requests, each to the models it has."""
        self.state.remember_memory(OURS, self._memory_of_ours())
        if BASE not in self.options.peers:
            return
        with contextlib.ExitStack() as stack:
            # It serves one model, so that two models are two servers of it.
            servers = [stack.enter_context(self._servers(kind(name), [BASE]))[BASE] for name in EXAMPLE]
            for name, server in zip(EXAMPLE, servers, strict=True):
                serving_load.offer(server, kind(name), LOADS[1], 2, FOLDER)
            sizes = [serving_load.memory(server.pid, but=_is_command) for server in servers]
        self.state.remember_memory(BASE, sum(sizes))
        self.state.remember_memory(f"{BASE}, the KNN alone", sizes[0])

    def _memory_of_ours(self) -> float:
        server = self.ours.start(EXAMPLE)
        try:
            serving_load.offer(server, kind(EXAMPLE[0]), LOADS[1], 2, FOLDER)
            return serving_load.memory(server.pid)
        finally:
            server.stop()


def _is_command(process: psutil.Process) -> bool:
    """`mlflow models serve` itself, which only waits for the server that it has started."""
    return "serve" in process.cmdline()


def options_of(arguments: list[str]) -> argparse.Namespace:
    everyone, kinds = [OURS, NOOP, *PEERS], list(MEASURED)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, usage=argparse.SUPPRESS
    )
    add = parser.add_argument
    add("--rounds", type=int, default=ROUNDS, help="how often each figure is taken (%(default)s)")
    add("--seconds", type=int, default=SECONDS, help="how long each takes (%(default)s)")
    add("--kinds", type=_some(kinds, ","), default=kinds, help=f"any of {', '.join(kinds)}")
    add("--peers", type=_some(everyone, ";"), default=everyone, help=f"any of {'; '.join(everyone)}")
    add("--loads", default="", help="only those whose name has this, such as c16")
    add("--quick", action="store_true", help="one round of a second each: a look, no figures")
    add("--no-memory", action="store_true", help="leave the memory out")
    add("--fresh", action="store_true", help="forget what an earlier run has measured")
    add("--profile", action="store_true", help="only show where ours spends its time at these --loads")
    add("--commit", help="measure this commit's serving, not the working tree's")
    add("--out", type=Path, default=FOLDER / "serving_figures.json", help="the figures (%(default)s)")
    return parser.parse_args(arguments)


def _some(known: list[str], between: str) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        chosen = [one.strip() for one in text.split(between)]
        if strangers := [one for one in chosen if one not in known]:
            raise argparse.ArgumentTypeError(f"{strangers[0]!r} is none of {f'{between} '.join(known)}")
        return chosen

    return read


def fingerprint(code: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted([*code.rglob("*.py"), *serving_peers.HERE.iterdir()]):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def main(arguments: list[str]) -> int:
    options = options_of(arguments)
    serving_load.program()
    # Told to end, it stops its servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    FOLDER.mkdir(parents=True, exist_ok=True)
    processes = Processes(FOLDER)
    ours = Ours(FOLDER, processes, options.commit)
    try:
        about = {
            "serving": fingerprint(ours.code),
            "seconds": QUICK_SECONDS if options.quick else options.seconds,
            "machine": f"{os.cpu_count()} CPUs, Python {platform.python_version()}",
        }
        state = State(options.out, about, options.fresh)
        began = time.monotonic()
        Run(options, processes, ours, state).all()
        if options.profile:
            return 0
        print(state.report())
        print(f"\n{about['machine']}, {time.monotonic() - began:.0f} s.")
    finally:
        ours.close()
        processes.stop_all()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
