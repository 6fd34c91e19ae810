"""The `slipway` command: register a run's model, roll a version out, roll it back, look. The edge only.

Exit status: 0 done, 1 it could not be done (one sentence says why), 2 wrong usage.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click

from . import inventory, keys, registration, rollout, traffic_commands
from .edge import STATUSES, client_at, tell, user
from .rollout import Outcome
from .serving import Serving


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=STATUSES)
@click.option(
    "--tracking-uri",
    envvar="MLFLOW_TRACKING_URI",
    help="The platform's tracking server.  [env: MLFLOW_TRACKING_URI; the token is MLFLOW_TRACKING_TOKEN]",
)
@click.version_option(package_name="slipway")
@click.pass_context
def main(context: click.Context, tracking_uri: str | None) -> None:
    """Register models and roll them out.

    \b
    From a run to Production:
      slipway register 5f3c9a… --name red-blue
      slipway rollout red-blue 4 --reason "better on the reference set"
      slipway rollback red-blue
    \b
    With a share of the requests, or a copy of them, first:
      slipway canary red-blue 4 --percent 5
      slipway shadow red-blue 4
    \b
    For an application that asks for predictions:
      slipway keys create my-app --models red-blue
    """
    context.obj = tracking_uri
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # what it is waiting for is said here


@main.command(epilog=STATUSES)
@click.argument("run_id", required=False)
@click.option("--name", required=True, help="The registered model; made where it does not exist.")
@click.option("--best", metavar="METRIC", help="Instead of RUN_ID: the finished run with the highest METRIC.")
@click.option("--experiment", help="Where --best looks.")
@click.option("--lowest", is_flag=True, help="The lowest METRIC is the best one.")
@click.option("--model-path", help="Which model, for a run that logged several.")
@click.option(
    "--timeout", type=click.IntRange(1), default=300, show_default=True, help="Seconds to wait for READY."
)
@click.pass_obj
def register(
    uri: str | None,
    run_id: str | None,
    name: str,
    best: str | None,
    experiment: str | None,
    lowest: bool,
    model_path: str | None,
    timeout: int,
) -> None:
    """Make a new version of a run's logged model.

    The version says where it came from: the run, the data set's name and digest, the commit where there
    is one.

    \b
    Examples:
      slipway register 5f3c9a0d2b7e4c1f --name red-blue
      slipway register --best reference_accuracy --experiment red-blue --name red-blue
    """
    if bool(run_id) == bool(best):
        raise click.UsageError("give either RUN_ID or --best METRIC with --experiment NAME")
    if bool(best) != bool(experiment):
        raise click.UsageError(
            "--best and --experiment go together: --best reference_accuracy --experiment red-blue"
        )
    with client_at(uri) as client:
        if best:
            run = registration.best_run(client, experiment, best, lowest)
            click.echo(f"best {best} of {experiment}: {run.data.metrics[best]:.6g}, run {run.info.run_id}")
        else:
            run = registration.get_run(client, run_id)
        made = registration.register(client, run, name, user(), model_path, timeout)
    click.echo(f"{made.name} version {made.version} registered from run {made.run_id}")
    click.echo(f"roll it out with: slipway rollout {made.name} {made.version}", err=True)


def _rollout_options(command):
    options = [
        click.option("--reason", default="", help="Why; kept with who, when, from and to."),
        click.option(
            "--serving-url",
            envvar="SLIPWAY_SERVING_URL",
            help="Wait until this endpoint answers with the version.  [env: SLIPWAY_SERVING_URL]",
        ),
        click.option("--token", envvar="MLFLOW_TRACKING_TOKEN", hidden=True),
        click.option(
            "--timeout",
            type=click.FloatRange(1),
            default=120,
            show_default=True,
            help="Seconds to wait for serving.",
        ),
        click.option("--no-wait", is_flag=True, help="Do not wait for serving."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@main.command("rollout", epilog=STATUSES)
@click.argument("name")
@click.argument("version")
@_rollout_options
@click.pass_obj
def rollout_command(
    uri: str | None,
    name: str,
    version: str,
    reason: str,
    serving_url: str | None,
    token: str | None,
    timeout: float,
    no_wait: bool,
) -> None:
    """Make a version Production and wait until serving answers with it.

    Moves the alias `production` and the stage Production (the version before becomes Archived). A
    version that serving cannot load is taken back. A canary or shadow of this version ends, since it gets
    all requests now. Repeating the command changes nothing, or finishes what was broken off.

    \b
    Example:
      slipway rollout red-blue 4 --reason "better on the reference set"
    """
    with client_at(uri) as client, _serving(serving_url, token, no_wait) as serving:
        outcome = rollout.rollout(client, name, version, user(), reason, serving, timeout, tell)
    _say(outcome, serving_url, no_wait)


@main.command("rollback", epilog=STATUSES)
@click.argument("name")
@_rollout_options
@click.pass_obj
def rollback_command(
    uri: str | None,
    name: str,
    reason: str,
    serving_url: str | None,
    token: str | None,
    timeout: float,
    no_wait: bool,
) -> None:
    """Make the version before the present one Production again.

    A second rollback goes one further back, not forth again.

    \b
    Example:
      slipway rollback red-blue --reason "wrong on the left edge"
    """
    with client_at(uri) as client, _serving(serving_url, token, no_wait) as serving:
        outcome = rollout.rollback(client, name, user(), reason, serving, timeout, tell)
    _say(outcome, serving_url, no_wait)


@main.command(epilog=STATUSES)
@click.pass_obj
def models(uri: str | None) -> None:
    """List the registered models and what is in Production.

    \b
    Example:
      slipway models
    """
    with client_at(uri) as client:
        click.echo("\n".join(inventory.list_models(client)))


@main.command(epilog=STATUSES)
@click.argument("name")
@click.option("--serving-url", envvar="SLIPWAY_SERVING_URL", help="Ask this too.  [env: SLIPWAY_SERVING_URL]")
@click.option("--token", envvar="MLFLOW_TRACKING_TOKEN", hidden=True)
@click.pass_obj
def status(uri: str | None, name: str, serving_url: str | None, token: str | None) -> None:
    """Show a model's versions, who moved Production when and why, and what serving answers with.

    \b
    Example:
      slipway status red-blue
    """
    with client_at(uri) as client:
        click.echo("\n".join(inventory.describe_model(client, name)))
        if serving_url:
            with Serving(serving_url, token) as serving:
                live = serving.live(name)
            failed = f"; it could not load version {live.failed} ({live.reason})" if live.failed else ""
            click.echo(f"\nserving: {live}{failed}")


main.add_command(keys.command)
main.add_command(traffic_commands.canary)
main.add_command(traffic_commands.shadow)


@contextmanager
def _serving(url: str | None, token: str | None, no_wait: bool) -> Iterator[Serving | None]:
    if no_wait or not url:
        yield None
        return
    with Serving(url, token) as serving:
        yield serving


def _say(outcome: Outcome, serving_url: str | None, no_wait: bool) -> None:
    move = outcome.move
    if outcome.seconds is not None:
        click.echo(f"{move.name} version {move.after} answers at {serving_url} after {outcome.seconds:.1f} s")
        return
    why = "--no-wait" if no_wait else "SLIPWAY_SERVING_URL is not set"
    click.echo(f"{move.name} version {move.after} is in Production; did not wait for serving ({why})")


if __name__ == "__main__":
    main(prog_name="slipway")
