"""What a user finds in their home, and that nothing of theirs is ever touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "jupyterhub/singleuser/start_notebook.py"


@pytest.fixture
def template(tmp_path) -> Path:
    folder = tmp_path / "template"
    (folder / "examples/red_blue").mkdir(parents=True)
    (folder / "examples/README.md").write_text("the examples\n")
    (folder / "examples/red_blue/MLproject").write_text("name: red-blue\n")
    (folder / ".mlflow/envs").mkdir(parents=True)
    (folder / ".mlflow/envs/mlflow-1234").symlink_to("/opt/venv")
    return folder


@pytest.fixture
def start(tmp_path, template):
    """start("echo", "hello") -> the finished process; `home` is its HOME."""

    def run(*command: str, home: Path = tmp_path / "ein Zuhause ü") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", str(PROGRAM), *command],
            env={**os.environ, "HOME": str(home), "NOTEBOOK_HOME_TEMPLATE": str(template)},
            capture_output=True,
            text=True,
            timeout=30,
        )

    return run


@pytest.fixture
def home(tmp_path) -> Path:
    return tmp_path / "ein Zuhause ü"


def test_an_empty_home_gets_all_of_the_template(start, home):
    assert start("true").returncode == 0
    assert (home / "examples/README.md").read_text() == "the examples\n"
    assert (home / "examples/red_blue/MLproject").is_file()
    assert os.readlink(home / ".mlflow/envs/mlflow-1234") == "/opt/venv"


def test_it_becomes_the_command_that_it_was_given(start):
    done = start("sh", "-c", "echo $1; exit 7", "-", "an argument")
    assert (done.returncode, done.stdout) == (7, "an argument\n")


def test_what_a_user_has_changed_stays(start, home):
    start("true")
    (home / "examples/README.md").write_text("mine\n")
    (home / "examples/red_blue/MLproject").unlink()
    (home / ".mlflow/envs/mlflow-1234").unlink()
    (home / ".mlflow/envs/mlflow-1234").symlink_to("/nowhere")
    start("true")
    assert (home / "examples/README.md").read_text() == "mine\n"
    assert (home / "examples/red_blue/MLproject").is_file(), "what was deleted comes back"
    assert os.readlink(home / ".mlflow/envs/mlflow-1234") == "/nowhere"


def test_a_file_where_the_template_has_a_folder_stays(start, home):
    home.mkdir()
    (home / "examples").write_text("my list of examples\n")
    assert start("true").returncode == 0
    assert (home / "examples").read_text() == "my list of examples\n"
    assert (home / ".mlflow").is_dir(), "the rest is copied all the same"


def test_a_home_that_cannot_be_written_to_is_told_and_the_server_starts_nevertheless(start):
    done = start("echo", "started", home=Path("/dev/null/home"))
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "the examples could not be copied to /dev/null/home" in done.stderr
    assert "is the volume full?" in done.stderr
