"""The hub's services and what each may do: the door-keeper, the operator's command, and the one that stops
unused notebooks."""

from __future__ import annotations

import os
import sys
from typing import Any

from slipway_hub.operator_api import SCOPE as PEOPLE
from slipway_hub.settings import Settings

AT_THE_DOOR = "access:services!service=auth"


def configure(c: Any, settings: Settings) -> None:
    c.JupyterHub.services = [
        {
            "name": "auth",
            "api_token": settings.auth_service_token.get_secret_value(),
            "oauth_client_id": "service-auth",
            "oauth_redirect_uri": "/auth/callback",
            # It is a part of the platform: no "do you trust this service?"
            "oauth_no_confirm": True,
            "display": False,
        },
        {
            "name": "operator",
            "api_token": settings.hub_operator_token.get_secret_value(),
            "display": False,
        },
    ]
    c.JupyterHub.custom_scopes = {PEOPLE: {"description": "Invite people, list them, end their accounts."}}
    c.JupyterHub.load_roles = [
        {"name": "user", "scopes": ["self", AT_THE_DOOR]},
        # JupyterHub's own scopes of a notebook server's token, and the door.
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", AT_THE_DOOR]},
        # Our own pages for it, and nothing of JupyterHub's API.
        {"name": "operator", "scopes": [PEOPLE], "services": ["operator"]},
    ]
    if settings.notebook_idle_seconds:
        stop_unused_notebooks(c, settings.notebook_idle_seconds)


def stop_unused_notebooks(c: Any, idle_seconds: int) -> None:
    every = max(10, min(300, idle_seconds // 2))
    c.JupyterHub.services.append(
        {
            "name": "idle-culler",
            "command": [
                sys.executable,
                "-m",
                "jupyterhub_idle_culler",
                f"--timeout={idle_seconds}",
                f"--cull-every={every}",
            ],
            # JupyterHub hands nothing on. By these marks, whatever a killed hub has left is found.
            "environment": {name: value for name, value in os.environ.items() if name.startswith("SLIPWAY_")},
            "display": False,
        }
    )
    c.JupyterHub.load_roles.append(
        {
            "name": "idle-culler",
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
            "services": ["idle-culler"],
        }
    )
