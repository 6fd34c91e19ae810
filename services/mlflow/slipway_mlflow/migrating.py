"""Brings MLflow's two databases up to date."""

from __future__ import annotations

from .serving import permissions_configured
from .settings import backend_store_uri


def migrate() -> int:
    # The command's own function: on the command line the address, password included, would be public.
    from mlflow.db import upgrade

    database = backend_store_uri()
    with permissions_configured():
        upgrade.callback(database)
        from .makers import prepare_permissions

        prepare_permissions(database)
    print("mlflow: the databases' schemas are up to date")
    return 0
