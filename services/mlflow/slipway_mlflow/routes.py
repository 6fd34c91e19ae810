"""Which of MLflow's routes are open, closed, or for administrators alone on this platform, beyond what
MLflow's own permissions say. Paths in, answers out.
"""

from __future__ import annotations

import re

from .identity import BUILT_IN_ADMINISTRATOR, READER, Caller
from .settings import static_prefix

METRICS = "/metrics"

OPEN = ("/health", "/favicon.ico")
STATIC_FILES = "/static-files/"
API = re.compile(r"/(?:ajax-)?api/\d+\.\d+(?=/)")

ACCOUNTS = {
    "/signup",
    "/mlflow/users/create",
    "/mlflow/users/create-ui",
    "/mlflow/users/update-password",
    "/mlflow/users/update-admin",
}
ACCOUNTS_ARE_THE_HUBS = (
    "people, passwords and administrators are the hub's: "
    "`./slipway users` or the hub's page of users changes them, and MLflow follows"
)
ASSISTANT = "/mlflow/assistant"
FOR_ADMINISTRATORS = {"/mlflow/demo/generate": "demo data is", "/jobs": "starting jobs by name is"}
"""MLflow lets every user do these: an experiment of nobody's, and code that runs with the server's rights."""
READS_BY_POST = {
    "/mlflow/experiments/search",
    "/mlflow/experiments/search-datasets",
    "/mlflow/runs/search",
    "/mlflow/logged-models/search",
    "/mlflow/traces/search",
}
FLASK_ANSWERS = (
    "/mlflow/experiments/",
    "/mlflow/runs/",
    "/mlflow/metrics/",
    "/mlflow/logged-models",
    "/mlflow/registered-models/",
    "/mlflow/model-versions/",
)
"""The routes that are asked most, all of MLflow's older half."""
NOT_FOR_READING = ("/gateway/", "/mlflow/gateway-proxy")
"""GET or not, what these do is done somewhere else."""


def is_open(path: str) -> bool:
    """For everybody, known or not."""
    inner = without_prefix(path)
    return inner in OPEN or inner.startswith(STATIC_FILES)


def why_closed(method: str, path: str, caller: Caller) -> str | None:
    """Why nobody, or not this caller, may use a route at all, whatever is granted; None if MLflow decides."""
    called = name_of(path)
    if called == ASSISTANT or called.startswith(f"{ASSISTANT}/"):
        return "MLflow's assistant runs commands on the server, so it is closed on this platform"
    if called in ACCOUNTS:
        return ACCOUNTS_ARE_THE_HUBS
    if caller.reads_only and not is_read(method, called):
        return f"{caller.name} only reads"
    if method != "GET" and called in FOR_ADMINISTRATORS and not caller.admin:
        return f"{FOR_ADMINISTRATORS[called]} for administrators"
    return None


def is_read(method: str, called: str) -> bool:
    if called.startswith(NOT_FOR_READING):
        return False
    return method in ("GET", "HEAD") or (method == "POST" and called in READS_BY_POST)


def is_flasks(path: str) -> bool:
    return name_of(path).startswith(FLASK_ANSWERS)


def is_built_in(name: str) -> bool:
    return name in (BUILT_IN_ADMINISTRATOR, READER)


def name_of(path: str) -> str:
    """A route without what comes in several forms: the prefix, the API's version, a slash at its end."""
    return API.sub("", without_prefix(path), count=1).rstrip("/") or "/"


def without_prefix(path: str) -> str:
    prefix = static_prefix()
    return path[len(prefix) :] if prefix and path.startswith(f"{prefix}/") else path
