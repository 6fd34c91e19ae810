"""What training leaves in MLflow, looked at through a real server."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import matplotlib.image
import mlflow
import pandas as pd
import pytest

from pipelines.red_blue import csv_files, data
from pipelines.source import commit_of

SOURCE = Path(data.__file__).parent


@pytest.fixture(scope="module", params=[("knn", 3), ("forest", 1)], ids=["knn", "forest"])
def trained(request, server):
    """A run of each model, made by the command line; (run, model's name, sample)."""
    model, sample = request.param
    from click.testing import CliRunner

    from pipelines.red_blue.__main__ import main

    mlflow.set_tracking_uri(server.uri)
    done = CliRunner().invoke(main, ["train", "--model", model, "--sample", str(sample)])
    assert done.exit_code == 0, done.output
    experiment = server.client.get_experiment_by_name("red-blue")
    run = server.client.search_runs([experiment.experiment_id])[0]
    assert run.info.run_id in done.output
    return run, model, sample


def test_a_run_says_what_it_was_trained_with(trained):
    run, model, sample = trained
    own = {
        "knn": {"n_neighbors": "7", "leaf_size": "40"},
        "forest": {"n_estimators": "250", "max_depth": "7"},
    }
    assert run.data.params == {
        "model": model,
        "sample": str(sample),
        "seed": "42",
        "held_out": "0.2",
        "cv_folds": "10",
        "scaler": "MinMaxScaler",
        "scaler_samples": f"1-{sample}",
        "data_origin": "generated",
        **own[model],
    }
    assert run.info.status == "FINISHED"
    assert run.info.run_name == f"{model}-sample-{sample:02d}"


def test_a_run_has_every_figure(trained):
    four = ["accuracy", "precision", "recall", "f1"]
    names = {*four, *(f"reference_{name}" for name in four), "cv_accuracy_mean", "cv_accuracy_std"}
    metrics = trained[0].data.metrics
    assert set(metrics) == names
    assert all(0.9 < metrics[name] <= 1 for name in names - {"cv_accuracy_std"})
    assert 0 < metrics["cv_accuracy_std"] < 0.1


def test_a_run_is_tagged_with_data_model_data_version_and_commit(trained):
    run, model, sample = trained
    tags = run.data.tags
    assert (tags["model"], tags["data"]) == (model, f"sample-{sample:02d}")
    assert tags["data_version"] == data.generate().version
    assert tags["primary_metric"] == "reference_accuracy"
    commit = commit_of(SOURCE)
    assert tags.get("mlflow.source.git.commit") == (commit.id if commit else None)


def test_a_run_names_its_data_sets_with_their_digests(trained):
    run, _, sample = trained
    found = {item.tags[0].value: item.dataset for item in run.inputs.dataset_inputs}
    assert found["training"].name == f"red-blue-sample-{sample:02d}"
    assert found["evaluation"].name == "red-blue-reference"
    same = mlflow.data.from_pandas(data.sample(sample), targets="label")
    assert found["training"].digest == same.digest
    assert found["training"].digest != found["evaluation"].digest


@pytest.mark.parametrize("name", ["confusion_matrix.png", "decision_regions.png"])
def test_a_run_keeps_its_pictures(trained, name):
    picture = matplotlib.image.imread(
        mlflow.artifacts.download_artifacts(run_id=trained[0].info.run_id, artifact_path=name)
    )
    assert picture.shape[0] > 300
    assert picture.shape[1] > 700
    assert picture.std() > 0.05, "nothing is drawn on it"


@pytest.fixture
def model_of(trained, client):
    """The logged model's folder, downloaded."""
    (output,) = trained[0].outputs.model_outputs
    return Path(mlflow.artifacts.download_artifacts(f"models:/{output.model_id}"))


def test_raw_points_go_into_the_logged_model_and_give_the_logged_accuracy(trained, model_of):
    reference = data.reference_set()
    answers = mlflow.pyfunc.load_model(str(model_of)).predict(reference[["Coord_X", "Coord_Y"]])
    accuracy = (answers == reference["label"]).mean()
    assert accuracy == pytest.approx(trained[0].data.metrics["reference_accuracy"], abs=1e-12)


def test_the_logged_model_holds_scaler_and_classifier(trained, model_of):
    model = mlflow.sklearn.load_model(str(model_of))
    assert list(model.named_steps) == ["scaler", "classifier"]
    assert model["scaler"].n_samples_seen_ == 800 * trained[2]


def test_the_logged_model_has_a_signature_and_an_example_of_raw_points(trained, model_of):
    described = mlflow.models.Model.load(str(model_of))
    assert {column.name: column.type.name for column in described.signature.inputs} == {
        "Coord_X": "double",
        "Coord_Y": "double",
    }
    assert [column.type.name for column in described.signature.outputs] == ["string"]
    example = described.load_input_example(str(model_of))
    sample = data.sample(trained[2])[["Coord_X", "Coord_Y"]]
    assert len(pd.merge(example.round(9), sample.round(9))) == len(example) == 5


def test_the_logged_model_needs_this_environments_versions_and_no_pickle(model_of):
    needed = (model_of / "requirements.txt").read_text().split()
    wanted = ["mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy"]
    assert set(needed) == {f"{name}=={version(name)}" for name in wanted}
    assert not list(model_of.rglob("*.pkl"))


def test_own_data_is_read_from_csv_files_and_named_as_the_source(red_blue, client, tmp_path):
    red_blue("make-data", "--out", tmp_path / "points", "--seed", 5)
    said = red_blue(
        "train", "--model", "knn", "--sample", 2, "--data", tmp_path / "points", "--experiment", "own"
    )
    run = client.search_runs([client.get_experiment_by_name("own").experiment_id])[0]
    assert run.info.run_id in said
    assert run.data.params["data_origin"] == str(tmp_path / "points")
    assert run.data.tags["data_version"] == data.generate(5).version
    sources = {item.tags[0].value: item.dataset.source for item in run.inputs.dataset_inputs}
    assert str(tmp_path / "points" / "sample_02.csv") in sources["training"]


def test_a_csv_file_with_a_wrong_column_stops_before_anything_is_logged(red_blue, client, tmp_path):
    csv_files.write_folder(data.generate(), tmp_path)
    path = tmp_path / "sample_02.csv"
    path.write_text(path.read_text().replace("Coord_Y", "Coord_Z", 1))
    said = red_blue("train", "--data", tmp_path, "--experiment", "never-made", status=1)
    assert said.count("\n") == 1
    assert said.startswith(f"Error: {path}, row 1: the column Coord_Y is missing")
    assert client.get_experiment_by_name("never-made") is None


def test_what_was_typed_wrong_is_told(red_blue):
    assert "give a number from 1 to 10, or all" in red_blue("train", "--sample", "11", status=2)
    assert "'knn', 'forest', 'all'" in red_blue("train", "--model", "svm", status=2)
    assert "is not a folder" in red_blue("train", "--data", "nowhere", status=1)


def test_a_server_that_does_not_answer_is_told_in_a_sentence(red_blue, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    mlflow.set_tracking_uri("http://127.0.0.1:9/mlflow")
    said = red_blue("train", "--model", "knn", "--sample", 1, status=1)
    assert "http://127.0.0.1:9/mlflow does not answer (Connection refused)" in said
    assert "Traceback" not in said
