"""Other programs: their answers, their failures, and that none is left behind."""

from __future__ import annotations

import os
import signal
import sys
import time

import psutil
import pytest

from infra.launcher import shell
from infra.launcher.problem import Interrupted, Problem, raise_interrupted


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_an_answer_has_status_and_both_outputs():
    answer = shell.ask(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert (answer.status, answer.out, answer.err, answer.ok) == (3, "out\n", "err\n", False)
    assert answer.last_words() == "err"


def test_a_missing_program_and_one_that_hangs_are_answers_too():
    assert shell.ask(["no-such-program-here"]).status == shell.NOT_FOUND
    began = time.monotonic()
    answer = shell.ask(python("import time; time.sleep(60)"), seconds=0.5)
    assert answer.status == shell.TIMED_OUT
    assert time.monotonic() - began < 20


def test_lines_come_while_it_runs_and_all_of_it_is_kept(tmp_path):
    log = tmp_path / "log"
    lines = list(shell.lines_of(python("print('one'); print('two')"), log))
    assert lines == ["one", "two"]
    assert log.read_text() == "one\ntwo\n"


def test_a_program_that_fails_is_a_problem_after_its_last_line(tmp_path):
    seen = []
    with pytest.raises(Problem, match="exit status 4"):
        seen += shell.lines_of(python("print('one'); raise SystemExit(4)"), tmp_path / "log")
    assert (tmp_path / "log").read_text() == "one\n"


def test_an_interruption_ends_the_program_and_its_children(tmp_path):
    child = tmp_path / "child"
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(child)!r}, 'w').write(str(p.pid)); print('ready', flush=True); time.sleep(60)\n"
    )
    lines = shell.lines_of(python(code), tmp_path / "log")
    assert next(lines) == "ready"
    with pytest.raises(Interrupted):
        lines.throw(Interrupted(2))
    number = int(child.read_text())
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and is_alive(number):
        time.sleep(0.05)
    assert not is_alive(number)


def is_alive(number: int) -> bool:
    try:
        with open(f"/proc/{number}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_interruption_while_a_program_is_started_ends_it(interruptible):
    before = psutil.Process().children()
    with pytest.raises(Interrupted):
        shell.begin(
            python("import time; time.sleep(60)"),
            preexec_fn=lambda: os.kill(os.getppid(), signal.SIGINT),
        )
    assert psutil.Process().children() == before
    assert signal.getsignal(signal.SIGINT) is raise_interrupted


@pytest.fixture
def interruptible():
    """Ctrl-C as the launcher takes it."""
    before = signal.signal(signal.SIGINT, raise_interrupted)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_background_program_is_watched_and_ended(tmp_path):
    program = shell.Background(
        python("import time; print('hello', flush=True); time.sleep(60)"), tmp_path / "log"
    )
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not shell.last_lines(program.log, 1):
        time.sleep(0.05)
    assert shell.last_lines(program.log, 1) == ["hello"]
    assert program.status() is None
    program.end()
    assert program.status() is not None


def test_images_are_built_with_buildkit_and_its_plain_progress(monkeypatch):
    monkeypatch.setenv("DOCKER_BUILDKIT", "0")
    answer = shell.ask(
        python("import os; print(os.environ['DOCKER_BUILDKIT'], os.environ['BUILDKIT_PROGRESS'])")
    )
    assert answer.out.split() == ["1", "plain"]
    assert os.environ["DOCKER_BUILDKIT"] == "0"
