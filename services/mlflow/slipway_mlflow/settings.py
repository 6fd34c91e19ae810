"""What the environment and the secret files say. Imports nothing of MLflow, which reads some of its variables
while it is imported.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Clients send artifacts to the server, which has them stored."""
REMEDY = "`./slipway up` makes it, and so does the job `secrets` of the Compose stack"


class MissingSetting(Exception):
    """Something MLflow cannot run without; the message names it and the remedy."""


def secret(name: str) -> str:
    """The content of the secret file `name`, without the newline at its end."""
    path = folder() / name
    try:
        value = path.read_text().strip()
    except OSError as error:
        raise MissingSetting(f"the secret {path} cannot be read ({error.strerror}); {REMEDY}") from None
    if not value:
        raise MissingSetting(f"the secret {path} is empty; {REMEDY}")
    return value


def optional_secret(name: str) -> str | None:
    """The same for a secret that the operator may leave out."""
    return secret(name) if (folder() / name).exists() else None


def folder() -> Path:
    return Path(os.environ.get("SECRETS_DIR", "/run/secrets"))


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise MissingSetting(f"the environment variable {name} is not set; see .env.example")
    return value


def backend_store_uri() -> str:
    """BACKEND_STORE_URI, with the password from `mlflow_db_password` put in where it says `{password}`."""
    return with_password(setting("BACKEND_STORE_URI"), "mlflow_db_password")


def auth_database_uri() -> str:
    """AUTH_DATABASE_URI, where MLflow keeps who may do what; its password is `mlflow_auth_db_password`."""
    return with_password(setting("AUTH_DATABASE_URI"), "mlflow_auth_db_password")


def with_password(uri: str, name: str) -> str:
    return uri.replace("{password}", quote(secret(name), safe="")) if "{password}" in uri else uri


def artifacts_destination() -> str:
    """Where artifacts go. A destination with a password in it, such as FTP's, comes as a secret file."""
    return optional_secret("artifacts_destination") or setting("ARTIFACTS_DESTINATION")


def static_prefix() -> str:
    return os.environ.get("MLFLOW_STATIC_PREFIX", "").rstrip("/")
