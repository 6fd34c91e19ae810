"""What a person may change on the tracking server, and from that the name to log or register under. On a
server without permissions, such as a plain `mlflow server`, everybody may everything.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request

from .tracking import missing

SCRATCH = "scratch-"
"""How the experiment begins that a notebook's environment names before anybody has chosen one."""
EXPERIMENT, MODEL = "experiment", "registered_model"
ENOUGH = {EXPERIMENT: {"EDIT", "MANAGE"}, MODEL: {"MANAGE"}}
"""To log runs into an experiment; to roll out a model's versions."""


class Person(NamedTuple):
    name: str
    is_admin: bool


def experiment_for(client: MlflowClient, name: str) -> str:
    """`name` where the person may log into it or it is not there yet, else `name-PERSON`."""
    found = client.get_experiment_by_name(name)
    return _name(client, name, EXPERIMENT, found.experiment_id if found else None)


def model_for(client: MlflowClient, name: str) -> str:
    """`name` where the person may roll out its versions or it is not there yet, else `name-PERSON`."""
    try:
        client.get_registered_model(name)
    except MlflowException as error:
        if not missing(error):
            raise
        return name
    return _name(client, name, MODEL, name)


def _name(client: MlflowClient, name: str, kind: str, resource: str | None) -> str:
    person = _person(client)
    if resource is None or person is None or person.is_admin:
        return name
    return name if _permission(client, person, kind, resource) in ENOUGH[kind] else f"{name}-{person.name}"


def _person(client: MlflowClient) -> Person | None:
    """Who asks, or None where the server does not care."""
    answer = _ask(client, "/api/2.0/mlflow/users/current")
    said = answer.get("user", answer) if answer else {}
    return Person(said["username"], bool(said.get("is_admin"))) if "username" in said else None


def _permission(client: MlflowClient, person: Person, kind: str, resource: str) -> str:
    wanted = {"username": person.name, "resource_type": kind, "resource_id": resource}
    answer = _ask(client, "/api/3.0/mlflow/users/permissions/get", **wanted) or {}
    return str(answer.get("permission", ""))


def _ask(client: MlflowClient, path: str, **parameters: str) -> dict[str, Any] | None:
    """None where there is no such route, or no server: a folder or a database."""
    if not client.tracking_uri.startswith("http"):
        return None
    answer = http_request(get_default_host_creds(client.tracking_uri), path, "GET", params=parameters)
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        raise MlflowException(f"asking {path} was answered with {answer.status_code}: {answer.text[:200]}")
    return dict(answer.json())
