"""`python -m slipway_serving.prepare_child`: a preparation in a process of its own, its task JSON on stdin.

It takes what processor time is left by those who answer requests, and is what the system ends first where
memory is short. What it finds is written into the task's folder `out`, once it is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
import warnings
from pathlib import Path

_LOOK_SECONDS = 1


def lower_priority() -> None:
    os.nice(19)
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError):
        # Short of memory, this process is what the system should end, not the one that serves.
        Path("/proc/self/oom_score_adj").write_text("1000")


def end_with_parent(parent: int) -> None:
    """A server that was killed could not end this process, and nobody waits for what it finds."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=look, daemon=True).start()


def main() -> int:
    end_with_parent(os.getppid())
    lower_priority()
    warnings.simplefilter("ignore")
    task = json.load(sys.stdin)
    from .examples import draws_for
    from .model import Unloadable, first_load
    from .registry import Target
    from .runtimes import findings
    from .runtimes.preparation import prepare

    folder, target = Path(task["folder"]), Target(**task["target"])
    try:
        model = first_load(folder, target, task["max_rows"], threads=task["threads"], tags=task["tags"])
    except Unloadable as error:
        print(error, file=sys.stderr)
        return 1
    loaded, pin = model.loaded, model.pin
    prepared = prepare(
        loaded,
        lambda: draws_for(loaded, model.inputs, model.trial),
        task["seconds"],
        pin,
        clock=time.process_time,
    )
    key = findings.fingerprint(pin, task["threads"])
    findings.write(Path(task["out"]), findings.found(prepared, loaded.converted), key)
    return 0


if __name__ == "__main__":
    sys.exit(main())
