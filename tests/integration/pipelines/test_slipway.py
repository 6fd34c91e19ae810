"""The `slipway` command against a real registry: from a run to a version to Production and back."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time

import mlflow
import pytest

from pipelines import production, rollout
from pipelines.cli import main as slipway_command
from pipelines.errors import PipelineError
from tests.support.breaks import Breaks


@pytest.fixture
def name(request) -> str:
    """A registered model's name that no other test uses."""
    return f"model-{request.node.name[:60]}".replace("[", "-").replace("]", "")


@pytest.fixture
def versions(name, log_model, slipway, client):
    """versions(3) registers as many runs and gives the numbers."""

    def register(count: int) -> list[str]:
        run_id = log_model()
        for _ in range(count):
            slipway("register", run_id, "--name", name)
        return [str(number) for number in range(1, count + 1)]

    return register


def in_production(client, name) -> tuple[str | None, dict[str, str]]:
    """The alias's version, and every version's stage."""
    found = client.search_model_versions(f"name='{name}'")
    alias = client.get_registered_model(name).aliases.get("production")
    return alias, {str(one.version): one.current_stage for one in found}


def test_a_registered_version_says_where_it_came_from(name, log_model, slipway, client):
    run_id = log_model()
    said = slipway("register", run_id, "--name", name)
    assert f"{name} version 1 registered from run {run_id}" in said
    version = client.get_model_version(name, "1")
    run = client.get_run(run_id)
    assert (version.status, version.run_id) == ("READY", run_id)
    assert version.tags["run_id"] == run_id
    assert version.tags["dataset.name"] == "two-points"
    assert version.tags["dataset.digest"] == run.inputs.dataset_inputs[0].dataset.digest
    assert version.tags.get("commit") == run.data.tags.get("mlflow.source.git.commit")
    assert version.tags["registered.by"] == "ada"
    assert mlflow.pyfunc.load_model(f"models:/{name}/1").metadata.signature is not None


def test_the_best_run_is_found_by_its_metric(name, log_model, slipway):
    scores = {score: log_model(score, experiment=name) for score in (0.7, 0.95, 0.8)}
    best = ("register", "--best", "reference_accuracy", "--experiment", name, "--name", name)
    assert scores[0.95] in slipway(*best)
    assert scores[0.7] in slipway(*best, "--lowest")


def test_a_run_with_several_models_needs_to_say_which(name, slipway, client):
    from sklearn.dummy import DummyClassifier

    with mlflow.start_run() as run:
        for model in ("left", "right"):
            mlflow.sklearn.log_model(DummyClassifier().fit([[0]], ["a"]), name=model, pip_requirements=[])
    said = slipway("register", run.info.run_id, "--name", name, status=1)
    assert "logged 2 models (left, right): say which with --model-path" in said
    slipway("register", run.info.run_id, "--name", name, "--model-path", "right")
    chosen = client.get_logged_model(client.get_model_version(name, "1").source.removeprefix("models:/"))
    assert chosen.name == "right"
    assert "no model at --model-path 'middle'" in slipway(
        "register", run.info.run_id, "--name", name, "--model-path", "middle", status=1
    )


def test_a_rollout_moves_alias_and_stage_and_archives_the_version_before(name, versions, slipway, client):
    versions(2)
    assert "did not wait for serving (SLIPWAY_SERVING_URL is not set)" in slipway("rollout", name, "1")
    assert in_production(client, name) == ("1", {"1": "Production", "2": "None"})
    assert "was 1" in slipway("rollout", name, "2", "--reason", "better")
    assert in_production(client, name) == ("2", {"1": "Archived", "2": "Production"})
    by_alias, by_stage = (
        mlflow.pyfunc.load_model(f"models:/{name}{how}") for how in ("@production", "/Production")
    )
    assert by_alias.metadata.model_id == by_stage.metadata.model_id


def test_who_when_from_to_and_why_are_kept(name, versions, slipway, client):
    versions(2)
    slipway("rollout", name, "1")
    slipway("rollout", name, "2", "--reason", "better on the edge")
    slipway("rollback", name, "--reason", "it was not")
    moves = production.events(client.search_model_versions(f"name='{name}'"))
    assert [(m["action"], m["from"], m["to"], m["by"], m["why"]) for m in moves] == [
        ("rollback", "2", "1", "ada", "it was not"),
        ("rollout", "1", "2", "ada", "better on the edge"),
        ("rollout", "", "1", "ada", ""),
    ]
    assert all(move["at"].startswith(time.strftime("%Y-")) for move in moves)
    model = client.get_registered_model(name)
    kept = {key: model.tags[f"production.{key}"] for key in ("version", "from", "by", "action", "reason")}
    assert kept == {"version": "1", "from": "2", "by": "ada", "action": "rollback", "reason": "it was not"}
    said = slipway("status", name)
    assert "version 1 is in Production since" in said
    assert "better on the edge" in said


def test_a_rollout_given_again_changes_nothing(name, versions, slipway, client):
    versions(2)
    slipway("rollout", name, "2")
    before = client.get_registered_model(name), client.get_model_version(name, "2")
    assert "in Production already" in slipway("rollout", name, "2")
    after = client.get_registered_model(name), client.get_model_version(name, "2")
    assert [one.tags for one in before] == [one.tags for one in after]
    assert in_production(client, name)[0] == "2"


def test_rollbacks_go_back_step_by_step(name, versions, slipway, client):
    for version in versions(3):
        slipway("rollout", name, version)
    slipway("rollback", name)
    assert in_production(client, name) == ("2", {"1": "Archived", "2": "Production", "3": "Archived"})
    slipway("rollback", name)
    assert in_production(client, name)[0] == "1"
    assert "version 1 replaced no other version" in slipway("rollback", name, status=1)
    assert in_production(client, name)[0] == "1"


def test_a_rollback_after_somebody_moved_the_alias_by_hand_goes_to_what_was_recorded(
    name, versions, slipway, client
):
    versions(2)
    slipway("rollout", name, "1")
    client.set_registered_model_alias(name, "production", "2")
    assert "moved without slipway rollout" in slipway("status", name)
    slipway("rollback", name)
    assert in_production(client, name) == ("1", {"1": "Production", "2": "None"})


def test_a_rollout_broken_off_anywhere_is_finished_by_the_same_command(name, versions, client, slipway):
    versions(2)
    slipway("rollout", name, "1")
    for writes in itertools.count():
        try:
            rollout.rollout(Breaks(client, writes), name, "2", "ada", "second")
        except ConnectionResetError:
            slipway("rollout", name, "2", "--reason", "second")
        else:
            break
        assert in_production(client, name) == ("2", {"1": "Archived", "2": "Production"}), writes
        tags = client.get_registered_model(name).tags
        assert (tags["production.version"], tags["production.from"]) == ("2", "1"), writes
        assert "rollout.pending" not in tags, writes
        slipway("rollback", name)
        assert in_production(client, name) == ("1", {"1": "Production", "2": "Archived"}), writes
    assert writes == 12


def test_a_rollback_broken_off_anywhere_goes_back_one_step_not_two(name, versions, client, slipway):
    for version in versions(3):
        slipway("rollout", name, version)
    for writes in itertools.count():
        try:
            rollout.rollback(Breaks(client, writes), name, "ada")
        except ConnectionResetError:
            slipway("rollback", name)
        else:
            break
        assert in_production(client, name)[0] == "2", writes
        slipway("rollout", name, "3")
    assert writes == 11


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["register", "no-such-run", "--name", "x"], 1, "RUN_ID 'no-such-run' is not known"),
        (["register", "0" * 32, "--name", "x"], 1, "is not known to the tracking server"),
        (["register", "--name", "x"], 2, "give either RUN_ID or --best METRIC"),
        (["register", "--best", "f1", "--name", "x"], 2, "--best and --experiment go together"),
        (
            ["register", "--best", "f1", "--experiment", "none", "--name", "x"],
            1,
            "--experiment 'none' does not exist",
        ),
        (["rollout", "nobody", "1"], 1, "NAME 'nobody' is no registered model"),
        (["rollback", "nobody"], 1, "NAME 'nobody' is no registered model"),
        (["status", "nobody"], 1, "NAME 'nobody' is no registered model"),
        (["rollout", "nobody"], 2, "Missing argument 'VERSION'"),
    ],
)
def test_errors_name_the_field_and_the_remedy(slipway, arguments, status, words):
    said = slipway(*arguments, status=status)
    assert words in said
    assert "Traceback" not in said


def test_a_version_that_does_not_exist_changes_nothing(name, versions, slipway, client):
    versions(1)
    slipway("rollout", name, "1")
    for unknown in ("7", "latest", "-1"):
        said = slipway("rollout", name, "--", unknown, status=1)
        assert f"VERSION '{unknown}' of {name} does not exist: slipway status {name} lists" in said
    assert in_production(client, name)[0] == "1"


def test_a_model_without_production_cannot_be_rolled_back(name, versions, slipway):
    versions(1)
    assert "has no version in Production" in slipway("rollback", name, status=1)


def test_a_run_without_a_model_or_not_finished_is_refused(name, slipway, client):
    with mlflow.start_run() as run:
        mlflow.log_metric("lonely", 1)
        assert "is RUNNING, not FINISHED" in slipway("register", run.info.run_id, "--name", name, status=1)
    assert "logged no model" in slipway("register", run.info.run_id, "--name", name, status=1)
    by_metric = ("register", "--best", "lonely", "--experiment", "Default", "--name", name)
    assert "has that metric and a logged model" in slipway(*by_metric, status=1)


def test_a_server_that_does_not_answer_is_told_in_a_sentence(slipway):
    said = slipway("--tracking-uri", "http://127.0.0.1:9/mlflow", "models", status=1)
    assert said.startswith(
        "Error: the tracking server at http://127.0.0.1:9/mlflow does not answer (Connection ref"
    )
    assert said.count("\n") == 1


def test_without_a_tracking_uri_the_variable_is_named(slipway, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert "MLFLOW_TRACKING_URI is not set: give the address" in slipway("models", status=1)


def test_models_are_listed_with_what_is_in_production(name, versions, slipway):
    versions(2)
    slipway("rollout", name, "1")
    (line,) = (line for line in slipway("models").splitlines() if line.startswith(f"{name} "))
    assert line.split()[1] == "1"
    assert line.split()[-2:] == ["ada", "2"]


def test_an_unknown_version_is_an_error_for_programs_too(client, name, versions):
    versions(1)
    with pytest.raises(PipelineError, match="VERSION '2'"):
        rollout.rollout(client, name, "2", "ada")


def test_the_command_teaches_itself():
    command = [sys.executable, "-m", "pipelines.cli"]
    for arguments in ([], *([command] for command in slipway_command.commands)):
        done = subprocess.run([*command, *arguments, "--help"], capture_output=True, text=True, check=False)
        assert done.returncode == 0
        assert "slipway " in done.stdout
        assert "Exit status: 0" in done.stdout
