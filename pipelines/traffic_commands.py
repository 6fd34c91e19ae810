"""`slipway canary` and `slipway shadow`: what other versions get of a model's requests. The edge only."""

from __future__ import annotations

import click

from . import traffic
from .edge import STATUSES, client_at, tell, user
from .traffic import Share

PERCENT = click.FloatRange(0, 100)


def _common(command):
    options = [
        click.option("--off", is_flag=True, help="End it; all requests are Production's alone again."),
        click.option("--reason", default="", help="Why; kept with who and when, as slipway status shows."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.command(epilog=STATUSES)
@click.argument("name")
@click.argument("version", required=False)
@click.option("--percent", type=PERCENT, help="Its share of the requests, 0 to 100.")
@click.option(
    "--sticky",
    type=click.Choice(list(traffic.STICKINESS)),
    help="What is drawn by lot: each request (the default), or each caller, by the name of the key or "
    "person, who then always gets the same version.",
)
@_common
@click.pass_obj
def canary(
    uri: str | None,
    name: str,
    version: str | None,
    percent: float | None,
    sticky: str | None,
    off: bool,
    reason: str,
) -> None:
    """Let another version answer a share of a model's requests.

    Sets the alias `canary` and the tags slipway.canary and slipway.canary.sticky, which every serving replica
    follows within seconds. An answer names the version it came from. A growing share keeps whom it had. A
    request with the header `X-Slipway-Sticky: anything` goes by that text instead, a session's id for one.

    Without VERSION the present canary gets another share. Rolling its version out ends it.

    \b
    From a first share to Production, or back:
      slipway canary red-blue 5 --percent 5 --sticky caller
      slipway canary red-blue --percent 50
      slipway rollout red-blue 5
      slipway canary red-blue --off
    """
    if off:
        _only_off(version, percent, sticky)
        _end(uri, traffic.CANARY, name, reason)
        return
    if percent is None:
        raise click.UsageError("give --percent, the share of the requests, or --off")
    with client_at(uri) as client:
        share = traffic.set_canary(client, name, version, percent, sticky, user(), reason)
    how = traffic.STICKINESS[share.sticky]
    click.echo(f"{name} version {share.version} answers {percent:g} % of the requests, {how}{_was(share)}")
    tell(f"make it Production with: slipway rollout {name} {share.version}; or: slipway canary {name} --off")


@click.command(epilog=STATUSES)
@click.argument("name")
@click.argument("version", required=False)
@click.option(
    "--percent", type=PERCENT, default=100, show_default=True, help="Of how many requests it gets a copy."
)
@_common
@click.pass_context
def shadow(
    context: click.Context, name: str, version: str | None, percent: float, off: bool, reason: str
) -> None:
    """Ask another version the same, and compare.

    It gets a copy of the requests and its answers go to nobody: serving counts where they are equal to the
    answers that were given, at /serving/models/NAME and in its metrics. Sets the alias `shadow` and the tag
    slipway.shadow. Copies wait for a free moment and are left out, and counted, where there is none.

    Rolling the version out ends it.

    \b
    Examples:
      slipway shadow red-blue 5
      slipway shadow red-blue 5 --percent 10
      slipway shadow red-blue --off
    """
    if off:
        given = context.get_parameter_source("percent") is not click.core.ParameterSource.DEFAULT
        _only_off(version, percent if given else None, None)
        _end(context.obj, traffic.SHADOW, name, reason)
        return
    with client_at(context.obj) as client:
        share = traffic.set_shadow(client, name, version, percent, user(), reason)
    click.echo(f"{name} version {share.version} is asked too for {percent:g} % of the requests{_was(share)}")
    tell(f"end it with: slipway shadow {name} --off")


def _only_off(version: str | None, percent: float | None, sticky: str | None) -> None:
    if version is not None or percent is not None or sticky is not None:
        raise click.UsageError("--off ends it whatever it is: leave VERSION, --percent and --sticky out")


def _end(uri: str | None, kind: str, name: str, reason: str) -> None:
    with client_at(uri) as client:
        version = traffic.end(client, kind, name, user(), reason)
    click.echo(f"{name} version {version} is no {kind} any more" if version else f"{name} has no {kind}")


def _was(share: Share) -> str:
    if not share.changed:
        return " already"
    return f" (version {share.before} did before)" if share.before not in (None, share.version) else ""
