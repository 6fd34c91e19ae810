"""What must be there before the services start: their secrets and their databases' present form. Running it
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from infra.embedded import environment
from infra.embedded.instance import CONSUMERS, Instance
from infra.embedded.services import Service
from infra.launcher.paths import ROOT
from infra.launcher.problem import Problem
from infra.launcher.progress import Screen
from infra.launcher.shell import ask

DATABASE_VERSION = "mlflow/schema-of"
"""A file in data/: the environment that the tracking database was last brought up to date with."""


def ensure(instance: Instance, services: Sequence[Service], screen: Screen) -> None:
    ensure_secrets(instance)
    ensure_tracking_database(instance, services, screen)


def ensure_secrets(instance: Instance) -> None:
    """The job of the Compose stack, with folders in place of its volumes."""
    answer = ask(
        [str(environment.python()), str(ROOT / "services/secrets/make_secrets.py")],
        environment={
            "SECRETS_STORE": str(instance.secrets / "store"),
            # What an operator brings in secrets/ is for the stack.
            "SECRETS_OPERATOR": str(instance.secrets / "operator"),
            "SECRETS_OUT": str(instance.secrets),
            "SECRETS_CONSUMERS": ",".join(CONSUMERS),
            "SECRETS_ONE_OWNER": "1",
        },
    )
    if not answer.ok:
        raise Problem(f"The secrets could not be made: {answer.last_words(3)}", "Correct that and try again.")


def ensure_tracking_database(instance: Instance, services: Sequence[Service], screen: Screen) -> None:
    """A new MLflow may want new tables; one that is the same as last time is not asked."""
    mark = instance.data / DATABASE_VERSION
    database = instance.data / "mlflow/mlflow.db"
    if mark.exists() and mark.read_text() == environment.platform_mark() and database.exists():
        return
    if database.exists():
        mlflow = next(one for one in services if one.name == "mlflow")
        screen.say("Bringing the tracking database up to date")
        command = [*mlflow.command[:-1], "migrate"]
        answer = ask(command, seconds=600, environment=mlflow.environment)
        if not answer.ok:
            raise Problem(
                f"The tracking database could not be brought up to date: {answer.last_words(4)}",
                f"It is {database}; a copy of it and this message help whoever you ask.",
            )
    mark.write_text(environment.platform_mark())
