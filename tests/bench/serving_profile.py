"""Where serving spends its time under load: py-spy beside wrk, summed by function."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from pathlib import Path

from tests.bench import serving_load
from tests.bench.serving_load import Load
from tests.bench.serving_peers import HERE, Server, environment_of
from tests.support.model_kinds import Kind

SECONDS, RATE, SHOWN = 8, 250, 30
# Where threads stand that have nothing to do: py-spy cannot tell that on every system.
_IDLE = ("Condition.wait ", "_worker (concurrent/", "SocketIO.readinto ", "wait (threading.py")


def profile(server: Server, kind: Kind, load: Load, folder: Path) -> str:
    """The functions with the most samples, native code included."""
    stacks = folder / "stacks"
    spy = environment_of(HERE / "profile.txt", folder).with_name("py-spy")
    command = [str(spy), "record", "--pid", str(server.pid), "--duration", str(SECONDS), "--rate", str(RATE)]
    command += ["--format", "raw", "--function", "--output", str(stacks)]
    loading = threading.Thread(
        target=serving_load.offer, args=(server, kind, load, SECONDS + 2, folder), daemon=True
    )
    loading.start()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    loading.join()
    if done.returncode != 0:
        return f"py-spy failed: {done.stderr.strip()[-300:]}"
    return summed(stacks.read_text().splitlines())


def summed(stacks: list[str]) -> str:
    """Own and whole time by function, in percent of all samples; a line is `frame;frame;frame COUNT`."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        path, _, count = line.rpartition(" ")
        frames = path.split(";")
        if frames[-1].startswith(_IDLE):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            whole[frame] += int(count)
    total = sum(own.values()) or 1
    lines = ["|   own |  whole | function |", "| ---: | ---: | --- |"]
    for frame, count in own.most_common(SHOWN):
        lines.append(f"| {count / total:.1%} | {whole[frame] / total:.1%} | {frame} |")
    return "\n".join(lines)
