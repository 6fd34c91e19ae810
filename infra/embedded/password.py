"""The administrator's one-time password, for another browser than the one the link logs in."""

from __future__ import annotations

from infra.embedded import environment
from infra.embedded.instance import administrator, instance_of
from infra.launcher import login
from infra.launcher.problem import Problem
from infra.launcher.settings import Settings
from infra.launcher.shell import ask


def password(chosen: Settings) -> tuple[str, str]:
    """Name and password; the password is empty once it has been changed."""
    hub = (instance_of(chosen.project).note("services") or {}).get("hub")
    if hub is None:
        raise Problem("The platform was not started yet.", "`./slipway up --embedded` starts it.")
    command = [str(environment.python()), "-m", "slipway_hub.admin_password"]
    return login.read(ask(command, environment=hub["environment"]), administrator(chosen.values))
