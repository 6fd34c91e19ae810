"""Starts MLflow with its secrets read from files; not a wrapper around what MLflow itself configures.

`python slipway_mlflow.py serve` runs the tracking server, `migrate` brings the database's schema up to
date and exits, `healthcheck` asks the running server for something only its database knows.

Secrets go into this process's own environment and never onto a command line, where every process of the
host could read them.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

SECRETS = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
ARTIFACT_ROOT = "mlflow-artifacts:/"
"""Clients send artifacts to the server, which has them stored."""
REMEDY = "`./slipway up` makes it, and so does the job `secrets` of the Compose stack"


def main(arguments: list[str]) -> int:
    commands = {"serve": serve, "migrate": migrate, "healthcheck": healthcheck}
    if len(arguments) != 1 or arguments[0] not in commands:
        print(f"usage: slipway_mlflow.py {'|'.join(commands)}", file=sys.stderr)
        return 2
    try:
        return commands[arguments[0]]()
    except MissingSetting as error:
        print(f"mlflow: {error}", file=sys.stderr)
        return 1


class MissingSetting(Exception):
    """Something MLflow cannot run without; the message names it and the remedy."""


def secret(name: str) -> str:
    """The content of the secret file `name`, without the newline at its end."""
    path = SECRETS / name
    try:
        value = path.read_text().strip()
    except OSError as error:
        raise MissingSetting(f"the secret {path} cannot be read ({error.strerror}); {REMEDY}") from None
    if not value:
        raise MissingSetting(f"the secret {path} is empty; {REMEDY}")
    return value


def optional_secret(name: str) -> str | None:
    """The same for a secret that the operator may leave out."""
    return secret(name) if (SECRETS / name).exists() else None


def setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise MissingSetting(f"the environment variable {name} is not set; see .env.example")
    return value


def backend_store_uri() -> str:
    """BACKEND_STORE_URI, with the password from `mlflow_db_password` put in where it says `{password}`."""
    uri = setting("BACKEND_STORE_URI")
    if "{password}" in uri:
        uri = uri.replace("{password}", quote(secret("mlflow_db_password"), safe=""))
    return uri


def artifacts_destination() -> str:
    """Where artifacts go. A destination with a password in it, such as FTP's, comes as a secret file."""
    return optional_secret("artifacts_destination") or setting("ARTIFACTS_DESTINATION")


def serve() -> int:
    destination = artifacts_destination()
    if destination.startswith("s3:"):
        os.environ["AWS_ACCESS_KEY_ID"] = secret("mlflow_s3_access_key_id")
        os.environ["AWS_SECRET_ACCESS_KEY"] = secret("mlflow_s3_secret_access_key")
    if os.environ.get("MLFLOW_ONE_PROCESS") == "1":
        return serve_in_this_process(backend_store_uri(), destination)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = backend_store_uri()
    os.environ["MLFLOW_ARTIFACTS_DESTINATION"] = destination
    os.environ["MLFLOW_SERVE_ARTIFACTS"] = "true"
    mlflow = Path(sys.executable).with_name("mlflow")
    os.execv(mlflow, [str(mlflow), "server"])  # noqa: S606  (MLflow takes its signals itself)


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
    host, port = os.environ.get("MLFLOW_HOST", "127.0.0.1"), os.environ.get("MLFLOW_PORT", "5000")
    uvicorn.run("mlflow.server.fastapi_app:app", host=host, port=int(port), access_log=False)
    return 0


def handed_to_a_worker(database: str, artifacts: str) -> dict[str, str]:
    """What `mlflow server` sets for its workers; a test compares the names with MLflow's own."""
    return {
        "_MLFLOW_SERVER_FILE_STORE": database,
        "_MLFLOW_SERVER_REGISTRY_STORE": database,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": ARTIFACT_ROOT,
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": artifacts,
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "_MLFLOW_STATIC_PREFIX": os.environ.get("MLFLOW_STATIC_PREFIX", ""),
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_BOOT_ID": uuid.uuid4().hex,
        "_MLFLOW_IN_JOB_EXECUTOR": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def migrate() -> int:
    # The command's own function: on the command line the address, password included, would be public.
    from mlflow.db import upgrade

    upgrade.callback(backend_store_uri())
    print("mlflow: the database's schema is up to date")
    return 0


def healthcheck() -> int:
    """0 when the server answers a question for which it has to ask its database."""
    port, prefix = os.environ.get("MLFLOW_PORT", "5000"), os.environ.get("MLFLOW_STATIC_PREFIX", "")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{prefix}/api/2.0/mlflow/experiments/search",
        data=json.dumps({"max_results": 1}).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=8) as response:  # noqa: S310  (http, fixed above)
            json.load(response)
    except (OSError, ValueError) as error:
        print(f"mlflow: not healthy: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
