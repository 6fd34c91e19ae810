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
from pathlib import Path
from urllib.parse import quote

SECRETS = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
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
    os.environ["MLFLOW_BACKEND_STORE_URI"] = backend_store_uri()
    os.environ["MLFLOW_ARTIFACTS_DESTINATION"] = destination
    os.environ["MLFLOW_SERVE_ARTIFACTS"] = "true"
    mlflow = Path(sys.executable).with_name("mlflow")
    os.execv(mlflow, [str(mlflow), "server"])  # noqa: S606  (MLflow takes its signals itself)


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
