"""./slipway as it is typed: from anywhere, with help that teaches, and statuses that mean what they say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.launcher import cli
from infra.launcher.problem import Interrupted, Problem

ROOT = Path(__file__).parents[3]
COMMANDS = (
    "up", "down", "status", "logs", "restart", "migrate", "test", "install-docker", "admin-password", "users",
    "doctor",
)  # fmt: skip


def slipway(
    *arguments: str, program: Path = ROOT / "slipway", **options: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(program), *arguments], capture_output=True, text=True, timeout=60, **options
    )


def test_it_runs_from_another_folder_and_through_a_symbolic_link(tmp_path):
    link = tmp_path / "bin-slipway"
    link.symlink_to(ROOT / "slipway")
    done = slipway("--help", program=link, cwd=tmp_path)
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_each_command_shows_examples(command, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"./slipway {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["upp"],
        ["up", "--offline", "--online"],
        ["up", "--timeout", "0"],
        ["up", "--vol"],
        ["users", "invite"],
        ["users", "ann"],
    ],
)
def test_wrong_usage_is_status_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2


def test_what_follows_two_dashes_goes_to_pytest():
    options = cli.parser().parse_args(
        cli.split_extra(["test", "unit", "-k", "a or b", "--", "-x", "--maxfail=2", "-k"])
    )
    assert (options.levels, options.expression) == (["unit"], "a or b")
    assert options.pytest == ["-x", "--maxfail=2", "-k"]


@pytest.fixture
def raising(monkeypatch):
    """Makes the command `doctor` raise something."""
    handlers = []
    monkeypatch.setattr(cli.signal, "signal", lambda *pair: handlers.append(pair))

    def of(error):
        def run(*_):
            raise error

        monkeypatch.setitem(cli.COMMANDS, "doctor", run)

    return of


def test_a_problem_is_told_with_its_remedy_and_its_status(raising, capsys):
    raising(Problem("It is wrong.", "Do this.", status=2))
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "slipway: It is wrong.\n  Do this.\n"


def test_ctrl_c_is_a_sentence_and_130(raising, capsys):
    raising(Interrupted(2))
    assert cli.main(["doctor"]) == 130
    said = capsys.readouterr().err
    assert "stopped" in said and "Traceback" not in said


def test_a_folder_of_roots_is_explained(raising, capsys):
    raising(PermissionError(13, "Permission denied", ".slipway/slipway.lock"))
    assert cli.main(["doctor"]) == 1
    assert "sudo chown" in capsys.readouterr().err


def test_without_docker_it_says_how_to_get_it(tmp_path):
    done = slipway("status", "--docker", env={"PATH": str(tmp_path), "HOME": str(tmp_path)})
    assert done.returncode == 2
    assert "Docker is not installed" in done.stderr
    assert "--install-docker" in done.stderr


def test_a_port_that_is_none_stops_up_before_anything_is_asked_of_docker(tmp_path):
    done = slipway("up", env={**os.environ, "PATH": str(tmp_path), "HTTP_PORT": "eighty"})
    assert done.returncode == 2
    assert "HTTP_PORT is 'eighty'" in done.stderr


def test_a_reader_that_has_enough_is_no_failure_to_talk_of():
    code = (
        "import sys; from infra.launcher import cli\n"
        "cli.COMMANDS['doctor'] = lambda _, screen: [screen.say('x' * 100) for _ in range(10000)] and 0\n"
        "sys.exit(cli.main(['doctor']))"
    )
    done = subprocess.run(
        f'set -o pipefail; {sys.executable} -c "$CODE" | head -1',
        shell=True,
        executable="/bin/bash",
        env={**os.environ, "CODE": code, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (141, "")
