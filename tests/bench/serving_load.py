"""Loads of requests, by wrk (Debian's package `wrk`): many connections with one row each, and bulk."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pandas as pd
import psutil

from tests.bench.serving_peers import HERE, Request, Server, differing
from tests.support.model_kinds import SEED, Kind

DIFFERENT_ROWS = 64


@dataclass(frozen=True)
class Load:
    name: str
    rows: int
    connections: int
    arrow: bool = False

    def frames(self, kind: Kind) -> list[pd.DataFrame]:
        """What is sent, in turn."""
        if self.rows == 1:
            drawn = kind.frame.sample(DIFFERENT_ROWS, random_state=SEED)
            return [drawn.iloc[[i]].reset_index(drop=True) for i in range(len(drawn))]
        return [kind.frame.sample(self.rows, replace=True, random_state=SEED).reset_index(drop=True)]

    def requests(self, server: Server, kind: Kind) -> list[Request]:
        make = server.arrow if self.arrow else server.request
        assert make is not None
        return [make(frame) for frame in self.frames(kind)]


LOADS = (
    Load("1 row, c1", 1, 1),
    Load("1 row, c16", 1, 16),
    Load("1 row, c64", 1, 64),
    Load("1,000 rows", 1_000, 1),
    Load("10,000 rows", 10_000, 1),
    Load("1,000 rows, Arrow", 1_000, 1, arrow=True),
    Load("10,000 rows, Arrow", 10_000, 1, arrow=True),
)


def check(server: Server, kind: Kind, load: Load) -> str | None:
    """Why this server's answers cannot be measured, None where they are the native model's."""
    with httpx.Client(timeout=120) as client:
        for frame, request in list(zip(load.frames(kind), load.requests(server, kind), strict=True))[:16]:
            answer = client.post(server.url + request.path, content=request.body, headers=request.headers)
            if answer.status_code != 200:
                return f"{answer.status_code}: {answer.text[:300]}"
            try:
                wrong = differing(kind.predict(frame), server.answers(answer.content))
            except (KeyError, TypeError, ValueError) as error:
                return f"{type(error).__name__} ({error}): {answer.text[:300]}"
            if wrong:
                return wrong
    return None


def offer(server: Server, kind: Kind, load: Load, seconds: int, folder: Path) -> dict[str, float]:
    """Requests and rows a second, milliseconds, and how many went wrong."""
    requests = load.requests(server, kind)
    bodies = folder / "bodies"
    whole = load.rows > 1
    bodies.write_bytes(b"\n".join(request.body for request in requests))
    command = [program(), "--threads", "1", "--connections", str(load.connections)]
    command += [
        "--duration",
        f"{seconds}s",
        "--timeout",
        "60s",
        "--script",
        str(HERE / "wrk.lua"),
    ]
    for name, value in requests[0].headers.items():
        command += ["--header", f"{name}: {value}"]
    command += [server.url + requests[0].path, "--", str(bodies), *(["one"] if whole else [])]
    before = processor_seconds(server.pid)
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = processor_seconds(server.pid) - before
    figures = json.loads(said.strip().splitlines()[-1])
    rate = figures["requests"] / (figures["microseconds"] / 1e6)
    return {
        "requests_per_second": rate,
        "rows_per_second": rate * load.rows,
        "p50": figures["p50"] / 1000,
        "p99": figures["p99"] / 1000,
        # What it costs, which a busy machine does not change as it does the rest.
        "processor_us": used / max(figures["requests"], 1) * 1e6,
        "wrong": figures["refused"] + figures["broken"],
    }


def processor_seconds(pid: int) -> float:
    """Of a server's processes so far."""
    process = psutil.Process(pid)
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def memory(pid: int, but: Callable[[psutil.Process], bool] = lambda process: False) -> float:
    """Megabytes of a server's processes (PSS: what is shared counts in parts), without some of them."""
    process = psutil.Process(pid)
    family = [one for one in (process, *process.children(recursive=True)) if not but(one)]
    return sum(one.memory_full_info().pss for one in family) / 1e6


def program() -> str:
    found = shutil.which("wrk")
    if found is None:
        sys.exit("wrk is missing: install the Debian package of that name (apt-get install wrk)")
    return found
