"""The tracking server that the environment names: a client for it, links into its UI, and its errors in
plain words.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import quote

import requests
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException, RestException

from .errors import PipelineError, first_line

NOT_FOUND = "RESOURCE_DOES_NOT_EXIST"
_REFUSED = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}


def client(tracking_uri: str | None) -> MlflowClient:
    """A client that gives up on a silent server after seconds, not after MLflow's minutes; raises
    PipelineError.
    """
    if not tracking_uri:
        raise PipelineError(
            "MLFLOW_TRACKING_URI is not set: give the address of the tracking server, "
            "such as http://localhost:8080/mlflow (in a notebook of the platform it is set already)"
        )
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    return MlflowClient(tracking_uri, registry_uri=tracking_uri)


@contextmanager
def plain_errors(tracking_uri: str | None) -> Iterator[None]:
    """What goes wrong between here and the server becomes a PipelineError; bugs stay what they are."""
    try:
        yield
    except MlflowException as error:
        raise PipelineError(_in_words(error, tracking_uri)) from error
    except requests.RequestException as error:
        raise PipelineError(_unreachable(error, tracking_uri)) from error


def missing(error: MlflowException) -> bool:
    """True where the server said that what was asked for is not there."""
    return error.error_code == NOT_FOUND


def versions_of(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Every version of a registered model, the latest first; none for an unknown one."""
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(f'name = "{name}"', max_results=1_000, page_token=token)
        found += page
        token = page.token
        if not token:
            return sorted(found, key=lambda one: int(one.version), reverse=True)


def run_link(run: Run, environment: Mapping[str, str] = os.environ) -> str | None:
    """The run's page as a browser reaches it.

    SLIPWAY_URL comes before the tracking URI, which names a host that only containers know; None without
    either.
    """
    public, uri = environment.get("SLIPWAY_URL"), environment.get("MLFLOW_TRACKING_URI", "")
    base = f"{public.rstrip('/')}/mlflow" if public else uri.rstrip("/") if uri.startswith("http") else None
    return base and f"{base}/#/experiments/{quote(run.info.experiment_id)}/runs/{quote(run.info.run_id)}"


def _in_words(error: MlflowException, tracking_uri: str | None) -> str:
    said = first_line(error)
    # The server has said what is missing and who can give it.
    if error.error_code == "PERMISSION_DENIED" and "can grant" in said:
        return said.removeprefix("PERMISSION_DENIED: ")
    if error.error_code in _REFUSED or " 401" in said or " 403" in said:
        return (
            f"the tracking server at {tracking_uri} refused this ({said}): check MLFLOW_TRACKING_TOKEN, "
            "or ask the creator of the experiment or model for the permission"
        )
    if "API request to" in said or "Max retries" in said:
        return _unreachable(error, tracking_uri)
    speaker = f"the tracking server at {tracking_uri}" if isinstance(error, RestException) else "MLflow"
    return f"{speaker} said: {said}"


def _unreachable(error: BaseException, tracking_uri: str | None) -> str:
    """The reason is the operating system's own, from under what requests and urllib3 wrapped around it."""
    reason: BaseException = error
    while inner := reason.__cause__ or reason.__context__:
        reason = inner
    said = reason.strerror if isinstance(reason, OSError) and reason.strerror else first_line(reason)[:160]
    return (
        f"the tracking server at {tracking_uri} does not answer ({said}): "
        "check MLFLOW_TRACKING_URI and that the server runs"
    )
