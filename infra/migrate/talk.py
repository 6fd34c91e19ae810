"""Hands a program of inside/ to a Python that runs elsewhere, with data for it, and takes its answer."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from infra.launcher import engine
from infra.launcher.problem import Problem
from infra.launcher.shell import end

INSIDE = Path(__file__).with_name("inside")
AGAIN = "Correct that and run the same command again: it goes on where it was."

Feed = Callable[[IO[bytes]], None]
"""Writes the data; what it raises ends the program before it has seen the end of its data."""


def in_service(project: str, service: str, program: str, *arguments: str, feed: Feed | None = None) -> str:
    """Runs inside/PROGRAM.py in the service's container; returns what it printed, or a Problem."""
    running = [
        one.id for one in engine.containers(project) if one.service == service and one.state == "running"
    ]
    if not running:
        raise Problem(f"The service {service} does not run.", AGAIN)
    command = ["docker", "exec", "--interactive", running[0], *python(program), *arguments]
    return talk(command, f"{service}: {program}", feed)


def python(program: str) -> list[str]:
    """The command line; the program travels on it, so that any release of an image will do."""
    return ["python", "-c", (INSIDE / f"{program}.py").read_text(encoding="utf-8")]


def talk(command: Sequence[str], name: str, feed: Feed | None = None) -> str:
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdout is not None
        answer = Answer(process.stdout)
        try:
            if feed:
                assert process.stdin is not None
                try:
                    feed(process.stdin)
                    process.stdin.close()
                except BrokenPipeError:  # it has ended early, and says why on stderr
                    pass
            answer.join()
            status = process.wait()
        except BaseException:
            end(process)
            raise
        if status != 0:
            errors.seek(0)
            said = errors.read().decode("utf-8", errors="replace").strip().splitlines()[-6:]
            raise Problem(f"{name} failed: " + ("\n    ".join(said) or f"exit status {status}"), AGAIN)
    return answer.text


class Answer(threading.Thread):
    """Reads while data is still being written: neither side waits for the other for ever."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._stream, self.text = stream, ""
        self.start()

    def run(self) -> None:
        self.text = self._stream.read().decode("utf-8", errors="surrogateescape")
