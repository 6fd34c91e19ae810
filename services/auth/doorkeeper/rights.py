"""Asks MLflow, as a person, what that person may. MLflow's own tables decide, and nothing here."""

from __future__ import annotations

import httpx

from doorkeeper.rules import groups_header
from doorkeeper.sessions import Visitor

MANAGE = "MANAGE"


class RightsUnknown(Exception):
    """MLflow did not answer, or not with an answer; the message says how."""


class Rights:
    def __init__(self, mlflow_url: str, gateway_secret: str) -> None:
        self._address = f"{mlflow_url}/api/3.0/mlflow/users/permissions/get"
        self._secret = gateway_secret
        # MLflow is asked at its own address, whatever proxy the environment names for the outside.
        self._http = httpx.AsyncClient(timeout=10, trust_env=False)

    async def manages(self, visitor: Visitor, model: str) -> bool:
        """Whether the person may manage the registered model; raises RightsUnknown.

        A model that does not exist is nobody's.
        """
        try:
            answer = await self._http.get(
                self._address,
                params={"username": visitor.name, "resource_type": "registered_model", "resource_id": model},
                headers={**identity(visitor), "X-Gateway-Secret": self._secret},
            )
            if answer.status_code in (403, 404):
                return False
            return answer.raise_for_status().json()["permission"] == MANAGE
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise RightsUnknown(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        await self._http.aclose()


def identity(visitor: Visitor) -> dict[str, str]:
    """The headers by which services know who is asking."""
    return {
        "X-Remote-User": visitor.name,
        "X-Remote-Groups": groups_header(visitor.groups),
        "X-Remote-Admin": "1" if visitor.admin else "0",
    }
