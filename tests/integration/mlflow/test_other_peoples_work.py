"""What the example and the `slipway` command do where the experiment or the model is somebody else's."""

from __future__ import annotations

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from pipelines.cli import main
from pipelines.ownership import experiment_for, model_for
from pipelines.red_blue.recording import choose_experiment
from tests.integration.mlflow.rights_world import V2


@pytest.fixture
def client(tracking) -> MlflowClient:
    return MlflowClient(f"{tracking}/mlflow", registry_uri=f"{tracking}/mlflow")


def test_the_first_has_the_name_and_everybody_else_one_of_their_own(client, gateway):
    gateway("alice")
    assert (experiment_for(client, "tour"), model_for(client, "tour")) == ("tour", "tour")
    client.create_experiment("tour")
    client.create_registered_model("tour")
    assert (experiment_for(client, "tour"), model_for(client, "tour")) == ("tour", "tour")
    gateway("bob")
    assert (experiment_for(client, "tour"), model_for(client, "tour")) == ("tour-bob", "tour-bob")
    gateway("root-admin", admin=True)
    assert (experiment_for(client, "tour"), model_for(client, "tour")) == ("tour", "tour")


def test_without_permissions_on_the_server_the_name_is_the_name(tmp_path):
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_experiment("tour")
    client.create_registered_model("tour")
    assert (experiment_for(client, "tour"), model_for(client, "tour")) == ("tour", "tour")


def test_the_example_takes_what_was_chosen_and_not_what_every_notebook_begins_with(
    tracking, gateway, monkeypatch
):
    mlflow.set_tracking_uri(f"{tracking}/mlflow")
    gateway("ines")

    def chosen(environment: str, name: str | None = None) -> str:
        monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", environment)
        choose_experiment(name)
        with mlflow.start_run() as run:
            return mlflow.get_experiment(run.info.experiment_id).name

    assert chosen("scratch-ines").startswith("red-blue")
    assert chosen("mine of ines") == "mine of ines"
    assert chosen("mine of ines", "another of ines") == "another of ines"


@pytest.mark.parametrize("command", ["rollout", "rollback", "register"])
def test_the_command_passes_the_servers_refusal_on(command, client, gateway, person, tracking):
    name = f"of-jo-{command}"
    jo = person("jo")
    experiment = jo.post(f"{V2}/experiments/create", name=f"{name} runs")["experiment_id"]
    gateway("jo")
    mlflow.set_tracking_uri(client.tracking_uri)
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.pyfunc.log_model(name="model", python_model=lambda given: given, pip_requirements=[])
    tell = ["--tracking-uri", client.tracking_uri]

    def slipway(*arguments: str):
        return CliRunner().invoke(main, [*tell, *arguments])

    registered = slipway("register", run.info.run_id, "--name", name)
    assert registered.exit_code == 0, registered.output
    slipway("register", run.info.run_id, "--name", name)
    for version in "12":
        assert slipway("rollout", name, version, "--no-wait").exit_code == 0
    before = client.get_registered_model(name)

    gateway("bob")
    given = {
        "rollout": ["rollout", name, "1", "--no-wait"],
        "rollback": ["rollback", name, "--no-wait"],
        "register": ["register", run.info.run_id, "--name", name],
    }
    refused = slipway(*given[command])
    assert refused.exit_code == 1
    assert (
        f"bob may not change the registered model '{name}': its creator or an administrator can grant that"
        in refused.output
    )
    after = client.get_registered_model(name)
    assert (after.aliases, after.tags) == (before.aliases, before.tags)
