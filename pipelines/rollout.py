"""What a rollout is: Production moves, serving follows, and a version that serving cannot load is taken
back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlflow import MlflowClient

from . import production, traffic
from .errors import PipelineError
from .production import Move
from .serving import CouldNotLoad, Serving


@dataclass(frozen=True)
class Outcome:
    """seconds: until serving answered with the version; None where nobody waited."""

    move: Move
    seconds: float | None


class TakenBack(PipelineError):
    """Serving could not load the version, so Production is again what it was."""


def rollout(
    client: MlflowClient,
    name: str,
    version: str,
    by: str,
    reason: str = "",
    serving: Serving | None = None,
    timeout: float = 120,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Make a version Production and wait until serving answers with it; a canary or shadow of it ends.

    Without `serving` nobody waits. Raises TakenBack where serving cannot load it, PipelineError for
    everything else that a person can mend. Repeating a rollout changes nothing, or finishes one that was
    broken off.
    """
    done = production.move(client, name, version, by, reason)
    return _follow(client, done, by, serving, timeout, tell)


def rollback(
    client: MlflowClient,
    name: str,
    by: str,
    reason: str = "",
    serving: Serving | None = None,
    timeout: float = 120,
    tell: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Make the version that the present one replaced Production again; a second rollback goes one further
    back.
    """
    target = production.interrupted_rollback(client, name) or production.previous(client, name)
    done = production.move(client, name, target, by, reason, action="rollback")
    return _follow(client, done, by, serving, timeout, tell)


def _follow(
    client: MlflowClient,
    done: Move,
    by: str,
    serving: Serving | None,
    timeout: float,
    tell: Callable[[str], None],
) -> Outcome:
    was = f"was {done.before}" if done.before else "there was none"
    tell(
        f"{done.name}: version {done.after} "
        f"{f'is in Production ({was})' if done.changed else 'is in Production already'}"
    )
    if serving is None:
        _end_shares(client, done, by, tell)
        return Outcome(done, None)
    try:
        seconds = serving.wait_for(done.name, done.after, timeout, tell)
    except CouldNotLoad as error:
        production.take_back(client, done, by, f"serving could not load version {done.after}: {error}")
        again = f"version {done.before} is in Production" if done.before else "no version is in Production"
        raise TakenBack(
            f"serving could not load version {done.after} of {done.name} ({error}), so it was "
            f"taken back and {again}: "
            "mend the model, register it anew and roll that version out"
        ) from error
    _end_shares(client, done, by, tell)
    return Outcome(done, seconds)


def _end_shares(client: MlflowClient, done: Move, by: str, tell: Callable[[str], None]) -> None:
    """Not before serving has the version: one that is taken back stays the canary it was."""
    for kind in traffic.end_what_is_production(client, done.name, by):
        tell(f"{done.name}: version {done.after} is no {kind} any more, since it is Production")
