"""Runs other programs, and is the only place here that does. Each gets a session of its own, so that Ctrl-C
reaches the launcher alone, which then ends what it started in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from infra.launcher.paths import ROOT
from infra.launcher.problem import Interrupted, Problem, raise_interrupted


class Answer(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.status == 0

    def last_words(self, lines: int = 12) -> str:
        """The end of what it said, stderr first; never empty."""
        said = (self.err.strip() or self.out.strip()).splitlines()[-lines:]
        return "\n".join(said) or f"exit status {self.status}, without a word"


NOT_FOUND = 127
TIMED_OUT = 124


def ask(command: Sequence[str], seconds: float = 60, environment: Mapping[str, str] | None = None) -> Answer:
    """Runs to the end and keeps the output. A missing program answers 127, one that hangs 124; never raises
    for it.
    """
    try:
        process = _start(command, subprocess.PIPE, subprocess.PIPE, environment)
    except OSError as error:
        return Answer(NOT_FOUND, "", f"{command[0]}: {error.strerror}")
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end(process)
        return Answer(TIMED_OUT, "", f"`{' '.join(command)}` did not answer within {seconds:g} seconds")
    except BaseException:
        end(process)
        raise
    return Answer(process.returncode, _text(out), _text(err))


def lines_of(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    hold: int | None = None,
) -> Iterator[str]:
    """Yields what it prints line by line while it runs, and keeps all of it in `log`. A Problem if it
    fails. `hold` is an open file that the program gets too: a lock on it lasts until both have ended.
    """
    with log.open("wb") as file:
        process = _start(command, subprocess.PIPE, subprocess.STDOUT, environment, hold)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                file.flush()
                yield _text(line).rstrip("\r\n")
            status = process.wait()
        except BaseException:
            end(process)
            raise
    if status != 0:
        raise Problem(f"`{' '.join(command)}` failed (exit status {status}).")


class Background:
    """A program that runs while something else is watched; its output goes to `log`."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("wb") as file:
            self._process = _start(command, file, subprocess.STDOUT, environment)

    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def end(self) -> None:
        end(self._process)


def show(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs with this terminal's input and output; returns the exit status."""
    process = subprocess.Popen(command, cwd=ROOT, env=_environment(environment))
    try:
        return process.wait()
    except BaseException as error:
        # It is in our session, so Ctrl-C has reached it as well; a signal to us alone has not.
        if not (isinstance(error, Interrupted) and error.status == 128 + signal.SIGINT):
            process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
        raise


def end(process: subprocess.Popen[bytes], patience: float = 15) -> None:
    """Asks the program and its children to stop, and makes them if they do not."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            continue


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log that say something."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def begin(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """subprocess.Popen in a session of its own. An interruption in the midst of it is raised once the program
    can be killed, which has done nothing yet; it would run on, known to nobody.
    """
    came: list[int] = []
    held = [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is raise_interrupted and _in_main_thread()
    ]
    for number in held:
        signal.signal(number, lambda number, _frame: came.append(number))
    process = None
    try:
        process = subprocess.Popen(command, start_new_session=True, **options)
    finally:
        for number in held:
            signal.signal(number, raise_interrupted)
        if came:
            if process:
                process.kill()
                process.wait()
            raise Interrupted(came[0])
    return process


def _in_main_thread() -> bool:
    """Only there may signals be handled."""
    return threading.current_thread() is threading.main_thread()


def _start(
    command: Sequence[str],
    out: int | IO[bytes],
    err: int,
    environment: Mapping[str, str] | None,
    hold: int | None = None,
) -> subprocess.Popen[bytes]:
    return begin(
        command,
        cwd=ROOT,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        pass_fds=() if hold is None else (hold,),
    )


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain", **(more or {})}


def _text(data: bytes) -> str:
    return data.decode("utf-8", errors="replace")
