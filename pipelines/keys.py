"""`slipway keys`: API keys for applications, made, listed and revoked at the platform's door-keeper."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import click
import httpx

from .errors import PipelineError, first_line

STATUSES = "Exit status: 0 done, 1 could not be done (one sentence says why), 2 wrong usage."
COLUMNS = ("id", "name", "models", "expires", "state", "owner")


class Keys:
    """The door-keeper of the platform at one address, such as http://localhost:8080. A context manager."""

    def __init__(self, platform: str, token: str | None) -> None:
        if not token:
            raise PipelineError(
                f"MLFLOW_TRACKING_TOKEN is not set: make a token at {platform}/hub/token (in a notebook of "
                "the platform it is set already)"
            )
        self.platform = platform
        self._http = httpx.Client(
            base_url=f"{platform}/auth", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def __enter__(self) -> Keys:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def create(self, name: str, models: list[str], days: int) -> dict[str, Any]:
        """What was made; its `key` is never told again."""
        return self._ask("POST", "/keys", {"name": name, "models": models, "days": days})

    def all(self) -> list[dict[str, Any]]:
        """One's own; an administrator's are everybody's."""
        return self._ask("GET", "/keys")["keys"]

    def revoke(self, id_or_name: str) -> dict[str, Any]:
        """By its id, or by a name that one live key has."""
        listed = self.all()
        by_id = [key for key in listed if key["id"] == id_or_name]
        live = [key for key in listed if key["name"] == id_or_name and key["state"] == "live"]
        found = by_id or live
        if not found:
            raise PipelineError(f"KEY {id_or_name!r} is none of your live keys: slipway keys list shows them")
        if len(found) > 1:
            ids = ", ".join(key["id"] for key in found)
            raise PipelineError(
                f"KEY {id_or_name!r} is the name of {len(found)} live keys: give an id ({ids})"
            )
        return self._ask("DELETE", f"/keys/{found[0]['id']}")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
            said = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise PipelineError(
                f"the platform at {self.platform} does not answer ({first_line(error)}): check "
                "MLFLOW_TRACKING_URI and that it runs"
            ) from error
        if answer.is_success:
            return said
        message = said.get("message") if isinstance(said, dict) else None
        raise PipelineError(f"the platform at {self.platform} refused this ({answer.status_code}): {message}")


def platform_of(tracking_uri: str | None, slipway_url: str | None) -> str:
    """Where the platform is: the tracking server's own address, since in a notebook the public one may lead
    nowhere; SLIPWAY_URL without it.
    """
    for address in (tracking_uri, slipway_url):
        parts = urlsplit(address or "")
        if parts.scheme in ("http", "https") and parts.netloc:
            return f"{parts.scheme}://{parts.netloc}"
    raise PipelineError(
        "MLFLOW_TRACKING_URI is not set: give the address of the tracking server, such as "
        "http://localhost:8080/mlflow (in a notebook of the platform it is set already)"
    )


@click.group("keys", epilog=STATUSES)
def command() -> None:
    """Make, list and revoke API keys, with which applications ask for predictions.

    A key is for the models that are named, until it expires or is revoked. Whoever manages a model makes keys
    for it; administrators make them for any.

    \b
    Examples:
      export SLIPWAY_KEY=$(slipway keys create my-app --models red-blue)
      curl $SLIPWAY_URL/serving/models/red-blue/predict -H "Authorization: Bearer $SLIPWAY_KEY" \\
        -H 'Content-Type: application/json' -d '{"inputs": [{"Coord_X": 1, "Coord_Y": 2}]}'
    """


@command.command(epilog=STATUSES)
@click.argument("name")
@click.option("--models", required=True, help="Names of registered models, with commas; * for every model.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="After which it expires."
)
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know of it, as JSON.")
@click.pass_obj
def create(uri: str | None, name: str, models: str, days: int, as_json: bool) -> None:
    """Make a key for the application NAME and print it, this once.

    To replace a key without a pause, make a second one of the same name, give it to the application, and
    revoke the first one by its id.

    \b
    Examples:
      slipway keys create my-app --models red-blue
      slipway keys create dashboard --models red-blue,churn --days 365 --json
    """
    wanted = [model.strip() for model in models.split(",") if model.strip()]
    with _keys(uri) as keys:
        made = keys.create(name, wanted, days)
    if as_json:
        click.echo(json.dumps(made, indent=2, ensure_ascii=False))
        return
    click.echo(
        f"key {made['id']} of {made['name']} for {', '.join(made['models'])} until {made['expires']}; it is "
        "shown this once, so keep it as you keep a password:",
        err=True,
    )
    click.echo(made["key"])


@command.command("list", epilog=STATUSES)
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know of them, as JSON.")
@click.pass_obj
def list_keys(uri: str | None, as_json: bool) -> None:
    """List your keys, never their text; an administrator sees everybody's.

    `replaced` is the state of a key whose signing key the platform has no more: serving refuses it.

    \b
    Example:
      slipway keys list
    """
    with _keys(uri) as keys:
        found = keys.all()
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        click.echo("no keys: slipway keys create NAME --models MODEL makes one")
    else:
        click.echo("\n".join(_table(found)))


@command.command(epilog=STATUSES)
@click.argument("key", metavar="ID|NAME")
@click.pass_obj
def revoke(uri: str | None, key: str) -> None:
    """Revoke a key: every serving process refuses it within seconds, and for ever.

    \b
    Examples:
      slipway keys revoke my-app
      slipway keys revoke 5f3c9a0d2b7e4c1f
    """
    with _keys(uri) as keys:
        done = keys.revoke(key)
    click.echo(f"key {done['id']} of {done['name']} is revoked")


@contextmanager
def _keys(uri: str | None) -> Iterator[Keys]:
    """The one place where what went wrong becomes an exit status."""
    try:
        platform = platform_of(uri, os.environ.get("SLIPWAY_URL"))
        with Keys(platform, os.environ.get("MLFLOW_TRACKING_TOKEN")) as keys:
            yield keys
    except PipelineError as error:
        raise click.ClickException(str(error)) from error


def _table(found: list[dict[str, Any]]) -> list[str]:
    rows = [[column.upper() for column in COLUMNS]]
    for key in found:
        shown = {**key, "models": ",".join(key["models"]), "expires": key["expires"][:10]}
        rows.append([str(shown[column]) for column in COLUMNS])
    widths = [max(len(row[number]) for row in rows) for number in range(len(COLUMNS))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
