"""What a registration is: a run's logged model becomes a version that says where it came from. Knows no
command line.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

from .errors import PipelineError
from .tracking import missing

READY = "READY"


@dataclass(frozen=True)
class Registration:
    """A version that came of a run."""

    name: str
    version: str
    run_id: str


@dataclass(frozen=True)
class Source:
    """Where a version's files are. model_id: None for models logged the way of MLflow 2."""

    uri: str
    model_id: str | None


def register(
    client: MlflowClient, run: Run, name: str, by: str, model_path: str | None = None, wait_seconds: int = 300
) -> Registration:
    """Make a new version of a run's model and wait until it is READY.

    Raises PipelineError, and MlflowException where the server does not play along.
    """
    if run.info.status != "FINISHED":
        raise PipelineError(
            f"run {run.info.run_id} is {run.info.status}, not FINISHED: register a run that came to its end"
        )
    source = find_model(client, run, model_path)
    ensure_model(client, name)
    made = client.create_model_version(
        name,
        source.uri,
        run_id=run.info.run_id,
        tags=provenance(run) | {"registered.by": by},
        await_creation_for=wait_seconds,
        model_id=source.model_id,
    )
    if made.status != READY:
        raise PipelineError(
            f"{name} version {made.version} is {made.status}, not READY, after {wait_seconds} s: "
            "look at the tracking server's log and register the run again"
        )
    return Registration(name, str(made.version), run.info.run_id)


def get_run(client: MlflowClient, run_id: str) -> Run:
    """The run, or a PipelineError that says it is not there."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if missing(error) or "Invalid run id" in str(error):
            raise PipelineError(
                f"RUN_ID {run_id!r} is not known to the tracking server: copy it from the run's page"
            ) from error
        raise


def best_run(client: MlflowClient, experiment_name: str, metric: str, lowest: bool = False) -> Run:
    """The finished run of an experiment with the highest (or lowest) metric, among those that logged a
    model.
    """
    experiment = client.get_experiment_by_name(experiment_name)
    if experiment is None:
        raise PipelineError(f"--experiment {experiment_name!r} does not exist: train a model into it first")
    order = f"metrics.`{metric}` {'ASC' if lowest else 'DESC'}"
    runs = client.search_runs(
        [experiment.experiment_id], "attributes.status = 'FINISHED'", max_results=200, order_by=[order]
    )
    for run in runs:
        if metric in run.data.metrics and run.outputs and run.outputs.model_outputs:
            return run
    raise PipelineError(
        f"--best {metric!r}: no finished run of experiment {experiment_name!r} has that metric "
        "and a logged model: "
        "check the metric's name on a run's page"
    )


def find_model(client: MlflowClient, run: Run, path: str | None) -> Source:
    """The one model a run logged, or the one that `path` names; raises PipelineError where that is none or
    several.
    """
    outputs = run.outputs.model_outputs if run.outputs else []
    models = {model.model_id: model for model in (client.get_logged_model(out.model_id) for out in outputs)}
    chosen = [model for model in models.values() if path in (None, model.name)]
    if len(chosen) == 1:
        return Source(f"models:/{chosen[0].model_id}", chosen[0].model_id)
    if len(chosen) > 1:
        raise PipelineError(
            f"run {run.info.run_id} logged {len(chosen)} models{f' named {path!r}' if path else ''} "
            f"({_names(chosen)}): say which with --model-path"
        )
    if path and any(item.path == f"{path}/MLmodel" for item in client.list_artifacts(run.info.run_id, path)):
        return Source(f"{run.info.artifact_uri}/{path}", None)
    if path:
        raise PipelineError(
            f"run {run.info.run_id} has no model at --model-path {path!r} (it logged: "
            f"{_names(models.values())})"
        )
    raise PipelineError(
        f"run {run.info.run_id} logged no model: log one with mlflow.<flavor>.log_model(…, name='model'), "
        "or say where it is with --model-path"
    )


def provenance(run: Run) -> dict[str, str]:
    """What a version's tags say of its origin: the run, the data set, the commit where there is one.

    The three-part version number will stand beside them.
    """
    tags = {"run_id": run.info.run_id}
    if dataset := _training_dataset(run):
        tags |= {"dataset.name": dataset.name, "dataset.digest": dataset.digest}
    for tag, source in {"data_version": "data_version", "commit": "mlflow.source.git.commit"}.items():
        if value := run.data.tags.get(source):
            tags[tag] = value
    if run.data.tags.get("uncommitted_changes") == "true":
        tags["commit.changed"] = "true"
    primary = run.data.tags.get("primary_metric")
    if primary in run.data.metrics:
        tags |= {"primary_metric": primary, f"metric.{primary}": f"{run.data.metrics[primary]:.6g}"}
    return tags


def ensure_model(client: MlflowClient, name: str) -> None:
    """The registered model is there; somebody else may have made it meanwhile."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if not missing(error):
            raise
        try:
            client.create_registered_model(name)
        except MlflowException as again:
            if again.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def _training_dataset(run: Run):
    inputs = run.inputs.dataset_inputs if run.inputs else []
    contexts = {"mlflow.data.context": "training"}
    named = [item for item in inputs if contexts.items() <= {tag.key: tag.value for tag in item.tags}.items()]
    return next((item.dataset for item in [*named, *inputs]), None)


def _names(models) -> str:
    return ", ".join(sorted(model.name for model in models)) or "none"
