"""From the laptop to the team: an embedded platform with work in it goes into the Compose stack of its name.

Told in order, each test after the one before: killed twice, done, done again; refused, merged.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import httpx
import pytest
from mlflow import MlflowClient
from nativeauthenticator.orm import UserInfo
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from jupyterhub import orm
from tests.support.installation import REPOSITORY, Embedded, Stack
from tests.support.person import Person

POINTS = {"inputs": [{"Coord_X": 7.5, "Coord_Y": 4.0}, {"Coord_X": -6.0, "Coord_Y": -5.5}]}
PASSWORD = "ada's own password"
MIGRATE = ("migrate", "--to", "docker", "--yes")


class Both:
    """The two ways of one project, with the same ports: the one follows the other."""

    def __init__(self, project: str) -> None:
        self.embedded = Embedded(project)
        self.stack = Stack(project, **{k: v for k, v in self.embedded.options.items() if k.endswith("_PORT")})
        self.answer: dict = {}
        self.before: dict[str, bytes] = {}

    def remove(self) -> None:
        for way in (self.embedded, self.stack):
            way.slipway("down", "--volumes", "--yes", check=False)

    def migrate_and_kill(self, after: str) -> None:
        """kill -9 of the launcher as soon as it has said a line with `after` in it."""
        process = subprocess.Popen(
            [str(REPOSITORY / "slipway"), *MIGRATE],
            env={**self.stack.environment, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said = []
        for line in process.stdout:
            said.append(line)
            if after in line:
                break
        else:
            pytest.fail(f"it never said {after!r}:\n{''.join(said)}")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def data(self) -> dict[str, bytes]:
        """What must not change: databases, artifacts and homes."""
        folder = self.embedded.folder / "data"
        kept = [*(folder / "mlflow").rglob("*"), *(folder / "homes").rglob("*")]
        return {
            str(path): path.read_bytes() for path in kept if path.is_file() and "mlflow.db-" not in path.name
        }


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    both = Both("slipway-e2e-migrate")
    both.remove()  # what an interrupted run left
    work(both)
    yield both
    both.remove()


def work(both: Both) -> None:
    """Two runs, a model in Production that has answered, a colleague, and files in two homes."""
    owner = Person(both.embedded.url, both.embedded.up())
    environment = {**both.embedded.environment, **owner.tracking(), "LOGNAME": "ada"}
    for command in (
        ("pipelines.red_blue", "train", "--model", "knn", "--sample", "1"),
        ("pipelines.red_blue", "train", "--model", "forest", "--sample", "2"),
        (
            "pipelines.cli",
            "register",
            "--best",
            "reference_accuracy",
            "--experiment",
            "red-blue",
            "--name",
            "red-blue",
        ),
        ("pipelines.cli", "rollout", "red-blue", "1", "--reason", "first"),
    ):
        subprocess.run(
            [sys.executable, "-m", *command], env=environment, cwd=REPOSITORY, check=True, timeout=300
        )
    both.answer = owner.http.post("/serving/predict", json=POINTS).json()
    add_user(both.embedded.folder / "data/hub/jupyterhub.sqlite", "ada", PASSWORD)
    for user, name, text in (
        ("ada", "work/mine.py", "print(1)"),
        (administrator(both), "größe 1.txt", "hello"),
    ):
        file = both.embedded.folder / "data/homes" / user / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def administrator(both: Both) -> str:
    return both.embedded.administrator()[0]


def add_user(database: Path, name: str, password: str) -> None:
    """As the hub keeps one who has signed up, was approved and has logged in."""
    sys.path.insert(0, str(REPOSITORY / "jupyterhub/hub"))
    from slipway_hub.passwords import hash_of

    with Session(create_engine(f"sqlite:///{database}")) as db:
        db.add(UserInfo(username=name, password=hash_of(password), is_authorized=True))
        db.add(orm.User(name=name))
        db.commit()


def administrator_of(stack: Stack) -> Person:
    name, password = stack.administrator()
    return Person(stack.url, name=name, password=password)


@contextmanager
def client_of(person: Person) -> Iterator[MlflowClient]:
    """MLflow's client, speaking for this person."""
    with mock.patch.dict(os.environ, person.tracking()):
        yield MlflowClient(f"{person.url}/mlflow")


def test_killed_before_and_after_the_rows_it_starts_over_without_harm(both):
    both.embedded.slipway("down")
    both.before = both.data()
    both.embedded.slipway("up")
    for place in ("artifacts (", "tracking database"):
        both.migrate_and_kill(place)
    assert not (both.embedded.folder / "migrated.json").exists()
    done = both.stack.slipway(*MIGRATE)
    assert "prediction of red-blue version 1: equal" in done.stdout
    assert "All agrees on both sides" in done.stdout
    assert json.loads((both.embedded.folder / "migrated.json").read_text())["to"] == "docker"


def test_runs_and_models_are_there_once(both):
    with client_of(administrator_of(both.stack)) as client:
        experiment = client.get_experiment_by_name("red-blue")
        assert len(client.search_runs([experiment.experiment_id])) == 2
        live = client.get_model_version_by_alias("red-blue", "production")
    assert (live.version, live.current_stage) == ("1", "Production")


def test_the_model_answers_as_before_and_visits_go_on_from_what_was_counted(both):
    administrator = administrator_of(both.stack)
    assert administrator.http.post("/serving/predict", json=POINTS).json() == both.answer
    time.sleep(6)
    visits = administrator.http.get("/serving/visitors").json()["models"]["red-blue"]["total"]
    assert visits >= 3  # one embedded, one for the comparison, one above


def test_a_colleague_logs_in_with_the_old_password_and_finds_the_files(both):
    with httpx.Client(base_url=both.stack.url, follow_redirects=True, timeout=120) as browser:
        browser.get("/hub/login")
        form = {"username": "ada", "password": PASSWORD, "_xsrf": browser.cookies.get("_xsrf", path="/hub/")}
        assert browser.post("/hub/login?next=/hub/home", data=form).url.path == "/hub/home"
    volume = f"{both.stack.project}-notebook-ada"
    look = [
        "run",
        "--rm",
        "--mount",
        f"type=volume,source={volume},target=/home/jovyan",
        "--entrypoint",
        "sh",
    ]
    seen = both.stack.docker(
        *look, "slipway/notebook:dev", "-c", "stat -c '%u %n' work/mine.py && cat work/mine.py"
    )
    assert seen.stdout.split("\n")[:2] == ["1000 work/mine.py", "print(1)"]


def test_nothing_of_the_embedded_platform_was_changed(both):
    assert both.data() == both.before


def test_a_second_time_there_is_nothing_left_to_do(both):
    done = both.stack.slipway(*MIGRATE)
    assert "0 were sent now" in done.stdout
    assert "tracking database: " in done.stdout and "brought at" in done.stdout


def test_into_other_work_it_goes_only_if_told_how(both):
    """Into a new stack, in which a team has an experiment, a model and an `ada` of the same names."""
    both.stack.slipway("down", "--volumes", "--yes")
    both.stack.slipway("up")
    team = administrator_of(both.stack)
    with client_of(team) as client:
        client.create_run(client.create_experiment("red-blue"))
        client.create_registered_model("red-blue")
    add = "from sqlalchemy import create_engine, text; from slipway_hub.settings import Settings;"
    add += "c = create_engine(Settings().database_url).connect();"
    add += "c.execute(text(\"INSERT INTO users (name, cookie_id) VALUES ('ada', 'x')\")); c.commit()"
    both.stack.compose("exec", "-T", "hub", "python", "-c", add)

    refused = both.stack.slipway(*MIGRATE, check=False)
    assert refused.returncode == 2
    assert (
        "The stack holds other work: experiments (red-blue); registered models (red-blue)" in refused.stderr
    )
    assert "users (ada)" in refused.stderr
    assert "--merge rename" in refused.stderr
    with client_of(team) as client:
        assert (len(client.search_experiments()), len(client.search_registered_models())) == (2, 1)

    merged = both.stack.slipway(*MIGRATE, "--merge", "rename")
    assert "model red-blue is red-blue-embedded there" in merged.stdout
    assert "user ada is ada-embedded there" in merged.stdout
    assert "prediction of red-blue version 1: equal" in merged.stdout
    with client_of(team) as client:
        names = sorted(one.name for one in client.search_experiments())
    assert names == ["Default", "red-blue", "red-blue-embedded"]
    asked = team.http.post("/serving/models/red-blue-embedded/predict", json=POINTS)
    assert asked.json()["predictions"] == both.answer["predictions"]
    volumes = both.stack.docker(
        "volume", "ls", "--quiet", "--filter", f"label=slipway.project={both.stack.project}"
    )
    assert f"{both.stack.project}-notebook-ada-2dembedded" in volumes.stdout.split()
    assert f"{both.stack.project}-notebook-ada" not in volumes.stdout.split()
