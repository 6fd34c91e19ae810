"""Finds the processes of an instance by what they have in their environment, and ends them. Runs inside the
platform's environment:

    python -m infra.embedded.processes list|stop INSTANCE
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import psutil

PATIENCE = 15.0
"""Seconds from SIGTERM to SIGKILL."""


def main(order: str, instance: str) -> int:
    if order == "stop":
        # Those that the first were about to start, and then those.
        for _ in range(3):
            end(of_instance(instance))
    print(json.dumps([describe(one) for one in of_instance(instance)]))
    return 0


def of_instance(instance: str) -> list[psutil.Process]:
    """Every process of this account that belongs to the instance, notebooks and kernels too."""
    return _where(lambda environment: environment.get("SLIPWAY_INSTANCE") == instance)


def of_service(instance: str, service: str, but: int) -> list[psutil.Process]:
    """Those of one service, save the process `but`."""
    found = _where(
        lambda environment: (
            environment.get("SLIPWAY_INSTANCE") == instance and environment.get("SLIPWAY_SERVICE") == service
        )
    )
    return [one for one in found if one.pid != but]


def end(doomed: Iterable[psutil.Process]) -> None:
    """Asks them to stop, and makes them after a while."""
    waiting = []
    for process in doomed:
        try:
            process.terminate()
            waiting.append(process)
        except psutil.Error:
            continue
    stubborn = still_there(waiting, PATIENCE)
    for process in stubborn:
        try:
            process.kill()
        except psutil.Error:
            continue
    still_there(stubborn, PATIENCE)


def still_there(processes: Sequence[psutil.Process], patience: float) -> list[psutil.Process]:
    """Those that have not ended within so many seconds."""
    deadline = time.monotonic() + patience
    while (left := [one for one in processes if runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def runs(process: psutil.Process) -> bool:
    """False too for one that has ended and that its parent has not noticed yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def describe(process: psutil.Process) -> dict[str, object]:
    """Name of the service or of the notebook's user, and what memory it alone takes, in bytes."""
    try:
        environment, memory = process.environ(), memory_of(process)
    except psutil.Error:
        environment, memory = {}, 0
    return {
        "pid": process.pid,
        "service": environment.get("SLIPWAY_SERVICE", ""),
        "role": environment.get("SLIPWAY_ROLE", ""),
        "user": environment.get("JUPYTERHUB_USER", ""),
        "memory": memory,
    }


def memory_of(process: psutil.Process) -> int:
    """Bytes; what it shares with others is divided among them where the system tells (Linux)."""
    full = process.memory_full_info()
    return getattr(full, "pss", full.uss)


def _where(true: Callable[[Mapping[str, str]], bool]) -> list[psutil.Process]:
    # Who asks may sit in a terminal of a notebook.
    asking = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    mine, found = os.getuid(), []
    for process in psutil.process_iter():
        try:
            if process.pid not in asking and process.uids().real == mine and true(process.environ()):
                found.append(process)
        except psutil.Error:  # it ended, or it is not for us to see
            continue
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
