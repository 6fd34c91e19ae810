"""`mlflow run` itself, as a person types it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.red_blue import csv_files, data

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """shell("mlflow run …", folder) runs it where this test's Python is the one on PATH."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "envs"))
    # Neither may be needed: an environment that MLflow set out to build would fail at once.
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    def run(command: str, folder: Path) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.skipif(sys.prefix == sys.base_prefix, reason="the tests do not run in a virtual environment")
def test_the_bare_command_works_in_a_clone_and_uses_this_environment(shell, client):
    shell("python -m pipelines.red_blue link-environment", REPOSITORY)
    shell("mlflow run pipelines/red_blue -P model=knn -P sample=3", REPOSITORY)
    run = client.search_runs(["0"])[0]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "knn-sample-03"
    assert (run.data.params["model"], run.data.params["sample"]) == ("knn", "3")
    assert run.data.metrics["reference_accuracy"] > 0.9
    assert run.data.tags["mlflow.source.type"] == "PROJECT"
    assert run.outputs.model_outputs


def test_a_copy_of_the_project_beside_the_notebook_is_enough(shell, client, tmp_path):
    """What every user finds in their home: the MLproject, not the package, which is installed."""
    (tmp_path / "examples/red_blue").mkdir(parents=True)
    for name in ("MLproject", "python_env.yaml"):
        shutil.copy(REPOSITORY / "pipelines/red_blue" / name, tmp_path / "examples/red_blue")
    command = "mlflow run red_blue -P model=knn -P sample=03 --experiment-name copied --env-manager local"
    shell(command, tmp_path / "examples")
    (run,) = client.search_runs([client.get_experiment_by_name("copied").experiment_id])
    assert run.data.params["sample"] == "03", "as it was typed"
    assert run.data.tags["data"] == "sample-03"


def test_all_samples_become_children_of_the_projects_run(shell, client, tmp_path):
    made = data.generate()
    two = data.DataSet(made.samples[:2], made.reference, "generated", [None] * 3)
    csv_files.write_folder(two, tmp_path / "points")
    command = f"mlflow run {REPOSITORY}/pipelines/red_blue -e csv -P data=points -P model=knn"
    shell(f"{command} --experiment-name children --env-manager local", tmp_path)
    runs = client.search_runs([client.get_experiment_by_name("children").experiment_id])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    children = {run.data.params["sample"]: run for run in runs if run is not parent}
    assert set(children) == {"1", "2"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    scores = {run.data.metrics["reference_accuracy"]: run.info.run_id for run in children.values()}
    assert parent.data.metrics == {"best_reference_accuracy": max(scores)}
    assert parent.data.tags["best_run_id"] == scores[max(scores)]
    assert parent.info.status == "FINISHED"


def test_data_is_made_by_the_project_too(shell, tmp_path):
    project = REPOSITORY / "pipelines/red_blue"
    shell(f"mlflow run {project} -e make_data -P out={tmp_path}/made --env-manager local", tmp_path)
    assert csv_files.read_folder(tmp_path / "made").version == data.generate().version
