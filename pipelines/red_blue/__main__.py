"""`python -m pipelines.red_blue`: make the data, train and log, prepare `mlflow run`. The edge only."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
import mlflow

from ..errors import PipelineError
from ..tracking import plain_errors, run_link
from .csv_files import BadData, read_folder, write_folder
from .data import SEED, DataSet, generate
from .environment import link_environment
from .evaluation import PRIMARY_METRIC
from .recording import choose_experiment, record
from .training import MODELS, train_samples

GENERATED = "generated"


@click.group()
def main() -> None:
    """The red/blue example: two models, ten samples whose scale shifts, one reference set.

    \b
    Example:
      python -m pipelines.red_blue train --model knn --sample 3
    """


@main.command("make-data")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write into."
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=SEED,
    show_default=True,
    help="The same seed gives the same points.",
)
def make_data(out: Path, seed: int) -> None:
    """Write sample_01.csv … sample_10.csv and reference.csv.

    \b
    Example:
      python -m pipelines.red_blue make-data --out /tmp/red-blue
      python -m pipelines.red_blue train --model knn --sample 3 --data /tmp/red-blue
    """
    try:
        written = write_folder(generate(seed), out)
    except OSError as error:
        raise click.ClickException(
            f"{out} cannot be written ({error.strerror}): choose another --out"
        ) from error
    click.echo(f"{len(written)} files in {out}: {written[0].name} … {written[-1].name}")


@main.command()
@click.option(
    "--model", type=click.Choice([*MODELS, "all"]), default="all", show_default=True, help="What to train."
)
@click.option("--sample", default="all", show_default=True, help="Number of the sample, or all.")
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=SEED,
    show_default=True,
    help="For the data, the split and the forest.",
)
@click.option("--data", default=GENERATED, show_default=True, help="Folder with the CSV files, or generated.")
@click.option(
    "--experiment",
    help="MLflow experiment.  [default: MLFLOW_EXPERIMENT_NAME, else red-blue, or red-blue-YOU]",
)
def train(model: str, sample: str, seed: int, data: str, experiment: str | None) -> None:
    """Train and log to the MLflow server that MLFLOW_TRACKING_URI names.

    The scaler goes on from sample to sample: a model of sample 3 scales with what samples 1 to 3 have shown.

    \b
    Examples:
      python -m pipelines.red_blue train --model knn --sample 3
      python -m pipelines.red_blue train        (both models, all samples)
    """
    points = _points(data, seed)
    samples = _samples(sample, len(points.samples))
    models = MODELS if model == "all" else [model]
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    # MLflow prints links with the tracking URI, which a browser outside cannot open; ours are printed below.
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    try:
        with plain_errors(mlflow.get_tracking_uri()):
            choose_experiment(experiment)
            _train_all(points, models, samples, seed)
    except PipelineError as error:
        raise click.ClickException(str(error)) from error


@main.command("link-environment")
def link_environment_command() -> None:
    """Let plain `mlflow run` of this project use the environment it is called from.

    MLflow's default is to build a virtual environment with pyenv and a package index. It takes one that
    is already in MLFLOW_ENV_ROOT (default ~/.mlflow/envs) under the name it would give: this puts a link
    there to the present one. Needed once, and again after python_env.yaml has changed; `mlflow run
    --env-manager local` does without.
    """
    try:
        link = link_environment()
    except PipelineError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{link} -> {link.readlink()}")


def _points(data: str, seed: int) -> DataSet:
    if data == GENERATED:
        return generate(seed)
    try:
        return read_folder(Path(data))
    except BadData as error:
        raise click.ClickException(str(error)) from error


def _samples(text: str, count: int) -> list[int]:
    if text == "all":
        return list(range(1, count + 1))
    if text.isdecimal() and 1 <= int(text) <= count:
        return [int(text)]
    raise click.BadParameter(
        f"{text!r} does not exist: give a number from 1 to {count}, or all", param_hint="--sample"
    )


def _train_all(points: DataSet, models: list[str], samples: list[int], seed: int) -> None:
    """One step alone is logged into the run that `mlflow run` began; several become that run's children."""
    total = len(models) * len(samples)
    parent = mlflow.start_run() if total > 1 and "MLFLOW_RUN_ID" in os.environ else None
    best: tuple[float, str] | None = None
    done, since = 0, time.monotonic()
    for model in models:
        for trained in train_samples(points, model, samples, seed):
            run = mlflow.get_run(record(trained, points, nested=parent is not None).info.run_id)
            done, took, since = done + 1, time.monotonic() - since, time.monotonic()
            score = run.data.metrics[PRIMARY_METRIC]
            best = max(best or (score, run.info.run_id), (score, run.info.run_id))
            click.echo(
                f"[{done:>{len(str(total))}}/{total}] {model} on sample {trained.sample} of "
                f"{len(points.samples)}: "
                f"accuracy {run.data.metrics['accuracy']:.3f} held out, {score:.4f} on the reference set "
                f"({took:.1f} s)  {run_link(run) or run.info.run_id}"
            )
    if parent is not None and best is not None:
        mlflow.log_metric(f"best_{PRIMARY_METRIC}", best[0])
        mlflow.set_tag("best_run_id", best[1])
        mlflow.end_run()
    if total > 1 and best is not None:
        click.echo(f"best on the reference set: {best[0]:.4f}, run {best[1]}")


if __name__ == "__main__":
    main(prog_name="python -m pipelines.red_blue")
