"""The process that prepares a version: it does not outlive the server that started it."""

import os
import subprocess
import sys
import time
from pathlib import Path

SERVING = Path(__file__).parents[3] / "services" / "serving"
CHILD = (
    "import os, time; from slipway_serving.prepare_child import end_with_parent;"
    "end_with_parent(os.getppid()); print(os.getpid(), flush=True); time.sleep(120)"
)
PARENT = (
    "import subprocess, sys;"
    "subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True).wait()"
)


def test_it_ends_when_its_server_was_killed():
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        env={**os.environ, "PYTHONPATH": str(SERVING)},
        stdout=subprocess.PIPE,
        text=True,
    )
    child = Path("/proc") / parent.stdout.readline().strip()
    time.sleep(1.5)
    assert child.is_dir()
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 30
    while child.is_dir() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.is_dir()
