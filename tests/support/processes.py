"""Real servers as processes of a test, and the waiting and stopping they all need."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def program(name: str) -> str:
    """The path of a console script of the environment that runs the tests."""
    path = Path(sys.executable).with_name(name)
    found = str(path) if path.exists() else shutil.which(name)
    assert found, f"{name} is not installed; run the tests with ./slipway test"
    return found


class Processes:
    """Starts servers, waits until they answer, and stops the ones it started."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.running = folder, []

    def start(
        self, name: str, command: list[str], *, environment: dict[str, str] | None = None
    ) -> subprocess.Popen:
        log = (self.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            cwd=self.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.running.append(process)
        return process

    def wait_for(
        self, name: str, process: subprocess.Popen, url: str, *, below: int = 500, seconds: float = 60
    ) -> None:
        """Until `url` answers with a status below `below`; the server's log is in the failure's message."""

        def answers() -> bool:
            if process.poll() is not None:
                pytest.fail(f"{name} ended with {process.returncode}:\n{self.log(name)}")
            try:
                return httpx.get(url, timeout=2).status_code < below
            except httpx.HTTPError:
                return False

        if not eventually(answers, seconds):
            pytest.fail(f"{name} did not answer at {url} within {seconds} s:\n{self.log(name)}")

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def stop(self, process: subprocess.Popen) -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # What it has started itself and not stopped, such as the real Node behind the wheel's `node`.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        if process in self.running:
            self.running.remove(process)

    def stop_all(self) -> None:
        for process in reversed(list(self.running)):
            self.stop(process)


def eventually(true: Callable[[], bool], seconds: float, pause: float = 0.2) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if true():
            return True
        time.sleep(pause)
    return False
