"""What every command does at its edge: a client, whose errors become one sentence and an exit status, and the
name of who asks.
"""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import click
from mlflow import MlflowClient

from . import tracking
from .errors import PipelineError

STATUSES = "Exit status: 0 done, 1 could not be done (one sentence says why), 2 wrong usage."


@contextmanager
def client_at(uri: str | None) -> Iterator[MlflowClient]:
    """The one place where what went wrong becomes an exit status."""
    try:
        with tracking.plain_errors(uri):
            yield tracking.client(uri)
    except PipelineError as error:
        raise click.ClickException(str(error)) from error


def user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container user without a name
        return "unknown"


def tell(text: str) -> None:
    click.echo(text, err=True)
