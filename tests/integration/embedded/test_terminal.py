"""The commands of the article, as they are typed in a terminal of the notebook server."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from infra.embedded import environment
from tests.support.processes import Processes, free_port


class Terminal:
    """Login shells in the person's home, with the notebook server's variables and nothing else."""

    def __init__(self, platform, processes: Processes) -> None:
        self.variables = platform.environment_of_server()
        self.home = Path(self.variables["HOME"])
        self.processes = processes

    def type(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-l", "-c", command],
            env=self.variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def leave_running(self, name: str, command: str, url: str) -> None:
        log = (self.processes.folder / f"{name}.log").open("wb")
        process = subprocess.Popen(
            ["bash", "-l", "-c", f"exec {command}"],
            env=self.variables,
            cwd=self.home,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.processes.running.append(process)
        self.processes.wait_for(name, process, url, below=400, seconds=120)


@pytest.fixture
def terminal(platform, processes) -> Terminal:
    return Terminal(platform, processes)


def test_its_programs_are_those_of_the_notebook_in_a_login_shell_too(terminal):
    for name in ("python", "pip", "mlflow", "slipway"):
        assert terminal.type(f"command -v {name}") == str(environment.NOTEBOOK / "bin" / name)
    assert terminal.type("command -v jupyter").startswith(str(environment.PLATFORM))


def test_it_knows_no_secret_of_the_services(terminal, platform):
    kept = {path.read_text().strip() for path in platform.instance.secrets.rglob("*") if path.is_file()}
    assert len(kept) > 5
    assert not kept & set(terminal.variables.values())
    assert not [name for name in terminal.variables if re.search("SECRET|PASSWORD|CRYPT|DB_URL", name)]
    assert terminal.variables["MLFLOW_TRACKING_URI"].endswith("/mlflow")
    assert terminal.variables["MLFLOW_TRACKING_TOKEN"] == terminal.variables["JUPYTERHUB_API_TOKEN"]


def test_what_a_user_installs_goes_into_their_home_and_changes_no_service(terminal, tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "numpy.py").write_text("")
    (package / "only_mine.py").write_text("answer = 42\n")
    modules = '[tool.setuptools]\npy-modules = ["only_mine", "numpy"]\n'
    (package / "pyproject.toml").write_text(f'[project]\nname = "only-mine"\nversion = "1"\n{modules}')
    terminal.type(f"pip install --no-index --no-build-isolation '{package}'")
    assert terminal.type("python -c 'import only_mine; print(only_mine.__file__)'").startswith(
        str(terminal.home)
    )
    assert terminal.type("python -c 'import numpy; print(numpy.__file__)'").startswith(
        str(environment.PLATFORM)
    )
    hidden = f"'{environment.python()}' -c 'import only_mine'"
    assert terminal.type(f"{hidden} 2>&1 || echo not there").endswith("not there")


def test_an_environment_of_ones_own_installs_into_itself(terminal):
    assert "install.user='true'" in terminal.type("pip config list").replace("site.", "")
    assert "user" not in terminal.type("python -m venv own && . own/bin/activate && pip config list")


def test_track_train_and_serve_with_mlflows_own_commands(terminal):
    tracking, scoring = free_port(), free_port()
    server = f"mlflow server --backend-store-uri sqlite:///mine.db --port {tracking}"
    terminal.leave_running("mlflow-server", server, f"http://127.0.0.1:{tracking}/health")
    assert (terminal.home / "mine.db").is_file()
    terminal.variables |= {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{tracking}"}

    terminal.type("cd examples && mlflow run red_blue -P model=knn -P sample=3 --experiment-name red-blue")
    terminal.type("slipway register --best reference_accuracy --experiment red-blue --name red-blue")
    client = (
        "from mlflow import MlflowClient as C; C().set_registered_model_alias('red-blue', 'production', '1')"
    )
    terminal.type(f'python -c "{client}"')

    serve = f"mlflow models serve --model-uri models:/red-blue@production --port {scoring}"
    terminal.leave_running("mlflow-models-serve", serve, f"http://127.0.0.1:{scoring}/ping")
    points = {"dataframe_split": {"columns": ["Coord_X", "Coord_Y"], "data": [[7.5, 4.0], [-6.0, -5.5]]}}
    answer = httpx.post(f"http://127.0.0.1:{scoring}/invocations", json=points)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["predictions"]) == 2
    (terminal.home / "points.json").write_text(json.dumps(points))
    said = terminal.type("mlflow models predict -m models:/red-blue@production -i points.json 2>/dev/null")
    assert json.loads(said.splitlines()[-1]) == answer.json()
