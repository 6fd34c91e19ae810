"""Starts the tracking server: `mlflow server` with its workers, or with MLFLOW_ONE_PROCESS=1 all in this one.

Secrets go into this process's own environment and never onto a command line, where every process of the host
could read them.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from configparser import RawConfigParser
from contextlib import contextmanager
from pathlib import Path

from .identity import BUILT_IN_ADMINISTRATOR
from .settings import (
    ARTIFACT_ROOT,
    MissingSetting,
    artifacts_destination,
    auth_database_uri,
    backend_store_uri,
    secret,
    static_prefix,
)

APPLICATION = "slipway_mlflow.app:create"


def serve() -> int:
    destination = artifacts_destination()
    if destination.startswith("s3:"):
        os.environ["AWS_ACCESS_KEY_ID"] = secret("mlflow_s3_access_key_id")
        os.environ["AWS_SECRET_ACCESS_KEY"] = secret("mlflow_s3_secret_access_key")
    database = backend_store_uri()
    for name in ("gateway_secret", "mlflow_reader_token"):
        secret(name)  # each worker reads them; better to stop here if one is missing
    with permissions_configured():
        if os.environ.get("MLFLOW_ONE_PROCESS") == "1":
            return serve_in_this_process(database, destination)
        return serve_with_workers(database, destination)


@contextmanager
def permissions_configured() -> Iterator[None]:
    """MLflow reads the address of its permissions from a file only: one that nobody else can read, in the
    folder for temporary files (in the container, memory), which goes when the server ends.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-mlflow-") as folder:
        path = Path(folder) / "permissions.ini"
        configuration = RawConfigParser()
        # MLflow's reader takes % as its own sign.
        configuration["mlflow"] = {name: value.replace("%", "%%") for name, value in permissions().items()}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            configuration.write(file)
        os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(path)
        os.environ["MLFLOW_BASIC_AUTH_FAIL_CLOSED"] = "true"
        os.environ["MLFLOW_FLASK_SERVER_SECRET_KEY"] = secret("mlflow_flask_secret_key")
        yield


def permissions() -> dict[str, str]:
    return {
        "default_permission": "READ",
        "database_uri": auth_database_uri(),
        "admin_username": BUILT_IN_ADMINISTRATOR,
        "admin_password": secret("mlflow_builtin_admin_password"),
        "authorization_function": "slipway_mlflow.app:authenticate",
    }


def serve_with_workers(database: str, artifacts: str) -> int:
    os.environ["MLFLOW_BACKEND_STORE_URI"] = database
    os.environ["MLFLOW_ARTIFACTS_DESTINATION"] = artifacts
    os.environ["MLFLOW_SERVE_ARTIFACTS"] = "true"
    import mlflow.server
    from mlflow.cli import cli

    # What that name stands for comes from the metadata of installed packages, which this one is not.
    mlflow.server._find_app = lambda name: APPLICATION
    try:
        # With this name MLflow prepares the permissions' database before its workers start.
        cli(["server", "--app-name", "basic-auth"], standalone_mode=False)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def serve_in_this_process(database: str, artifacts: str) -> int:
    """`mlflow server` for one worker, without the process in front of it.

    That one imports all of MLflow only to start another that imports it again: half of the memory, and
    more than half of the time to start. It also starts jobs and collects metrics; here are neither.
    """
    for name in ("MLFLOW_EXPOSE_PROMETHEUS", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"):
        if os.environ.get(name, "false") not in ("", "false"):
            raise MissingSetting(f"with MLFLOW_ONE_PROCESS=1 there is no {name}; set one of the two only")
    os.environ.update(handed_to_a_worker(database, artifacts))
    # Only now: MLflow reads some of these variables when it is imported.
    import uvicorn
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(database, database, ARTIFACT_ROOT)
    from .makers import prepare_permissions

    prepare_permissions(database)
    host, port = os.environ.get("MLFLOW_HOST", "127.0.0.1"), os.environ.get("MLFLOW_PORT", "5000")
    uvicorn.run(
        APPLICATION,
        factory=True,
        host=host,
        port=int(port),
        access_log=False,
        # Longer than the gateway keeps an idle connection: it must not send into one that is being closed.
        timeout_keep_alive=150,
    )
    return 0


def handed_to_a_worker(database: str, artifacts: str) -> dict[str, str]:
    """What `mlflow server` sets for its workers; a test compares the names with MLflow's own."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTIFACT_ROOT,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_STATIC_PREFIX": static_prefix(),
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
