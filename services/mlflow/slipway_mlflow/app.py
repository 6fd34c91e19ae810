"""The application that MLflow's server runs: MLflow's own with its permissions in force, behind the gate.

`mlflow server` starts `create` in each of its workers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from flask import Flask, Response, make_response, request
from mlflow.exceptions import MlflowException
from mlflow.protos.model_registry_pb2 import (
    DeleteModelVersionTag,
    DeleteRegisteredModelAlias,
    DeleteRegisteredModelTag,
    RenameRegisteredModel,
    SetModelVersionTag,
    SetRegisteredModelAlias,
    SetRegisteredModelTag,
    TransitionModelVersionStage,
)
from mlflow.server import auth
from mlflow.server.handlers import get_endpoints
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from werkzeug.datastructures import Authorization

from . import identity, lookups, routes
from .gate import PLAIN_REFUSAL, Gate
from .generation import Generation
from .mirror import Mirror
from .refusals import as_body, sentence, subject_of
from .settings import secret

WHAT_PRODUCTION_IS = (
    SetRegisteredModelAlias,
    DeleteRegisteredModelAlias,
    TransitionModelVersionStage,
    RenameRegisteredModel,
)
"""MLflow asks for the right to edit; what an application is served by is up to who manages the model."""
TAGS = (SetRegisteredModelTag, DeleteRegisteredModelTag, SetModelVersionTag, DeleteModelVersionTag)
RECORD_OF_PRODUCTION = ("production.", "rollout.", "slipway.")
"""How the keys of the tags begin that `slipway rollout` writes and `slipway rollback` reads, and of those
by which serving sends a share of the requests to another version."""
GENERATION_FILE = "generation"


def create() -> Gate:
    recognition = identity.Recognition(secret("gateway_secret"), secret("mlflow_reader_token"))
    configuration = os.environ.get("MLFLOW_AUTH_CONFIG_PATH")
    generation = Generation(Path(configuration).with_name(GENERATION_FILE) if configuration else None)
    store = lookups.install(generation)
    ask_for_manage()
    auth.BEFORE_REQUEST_VALIDATORS[(routes.METRICS, "GET")] = lambda: True
    protect_built_in_users()
    application = auth.create_app()
    explain_refusals(auth.app)
    return Gate(application, shortcut_to_flask(application), recognition, Mirror(store, generation))


def shortcut_to_flask(application: FastAPI) -> Any:
    """The Flask half behind MLflow's checks of hosts and origins, past three layers that do nothing for it
    and take a tenth of the time of a call; it asks for permissions itself.
    """
    (inner,) = (route.app for route in application.routes if isinstance(route, Mount))
    for layer in reversed(application.user_middleware):
        if layer.cls is not BaseHTTPMiddleware:
            inner = layer.cls(inner, *layer.args, **layer.kwargs)
    return inner


def authenticate() -> Authorization | Response:
    """What MLflow's configuration names as its `authorization_function`: the gate has let this caller in."""
    caller = identity.current.get()
    if caller is None:
        return make_response(as_body("UNAUTHENTICATED", "the request did not pass the gate"), 401)
    return Authorization("basic", {"username": caller.name, "password": ""})


def ask_for_manage() -> None:
    def may_manage() -> bool:
        return bool(auth._get_permission_from_registered_model_or_prompt_name().can_manage)

    def is_not_the_record_or_may_manage() -> bool:
        return not str(auth._get_request_param("key")).startswith(RECORD_OF_PRODUCTION) or may_manage()

    def chosen(request_class: Any) -> Any:
        if request_class in WHAT_PRODUCTION_IS:
            return may_manage
        return is_not_the_record_or_may_manage if request_class in TAGS else None

    validators = auth.BEFORE_REQUEST_VALIDATORS
    for path, also, methods in get_endpoints(chosen):
        # Those routes of which MLflow itself gives the handler are not meant.
        if also in (may_manage, is_not_the_record_or_may_manage):
            for method in methods:
                validators[path, method] = both(validators[path, method], also)


def both(one: Callable[[], bool], other: Callable[[], bool]) -> Callable[[], bool]:
    return lambda: one() and other()


def protect_built_in_users() -> None:
    """An administrator deletes somebody who has left; without these two the server would not work."""
    delete = auth.delete_user

    def delete_user() -> Any:
        name = auth._get_request_param("username")
        if routes.is_built_in(name):
            return make_response(as_body("PERMISSION_DENIED", f"{name} is the platform's own"), 403)
        return delete()

    auth.delete_user = auth.catch_mlflow_exception(delete_user)


def explain_refusals(flask: Flask) -> None:
    @flask.after_request
    def explained(response: Response) -> Response:
        if response.status_code == 403 and response.get_data() == PLAIN_REFUSAL:
            caller = identity.current.get()
            text = sentence(
                caller.name if caller else "nobody", request.method, subject_of(said(), Known(), request.path)
            )
            response.set_data(json.dumps(as_body("PERMISSION_DENIED", text)))
            response.content_type = "application/json"
        return response


def said() -> dict[str, Any]:
    """The parameters of the request at hand, wherever they are."""
    body = request.get_json(silent=True)
    return {**request.args, **(body if isinstance(body, dict) else {}), **(request.view_args or {})}


class Known:
    """Names of experiments, as this server has them."""

    def of_run(self, run_id: str) -> str | None:
        try:
            return self.of_experiment(auth._get_tracking_store().get_run(run_id).info.experiment_id)
        except MlflowException:
            return None

    def of_experiment(self, number: str) -> str | None:
        try:
            return str(auth._get_tracking_store().get_experiment(number).name)
        except MlflowException:
            return None
