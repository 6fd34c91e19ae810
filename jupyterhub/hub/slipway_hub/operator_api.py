"""/hub/api/slipway/people: what the command `./slipway users` asks for (users.py), with the token of the
hub's service `operator` and nobody else's. Inside the hub, so that what it keeps in memory is right at once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from jupyterhub.apihandlers.base import APIHandler
from tornado.web import HTTPError

from slipway_hub.invitations import Link
from slipway_hub.people import people

SCOPE = "custom:slipway:people"


def handlers() -> list[tuple[str, type]]:
    return [(r"/api/slipway/people", List), (r"/api/slipway/people/([^/]+)/([a-z]+)", Person)]


class ForTheOperator(APIHandler):
    async def prepare(self) -> None:
        await super().prepare()
        # JupyterHub's decorator @needs_scope knows no custom scopes when this file is read.
        if not self.has_scope(SCOPE):
            raise HTTPError(403, "This is for the service `operator`; `./slipway users` has its token.")


class List(ForTheOperator):
    def get(self) -> None:
        self.finish(json.dumps(people(self).all()))


class Person(ForTheOperator):
    async def post(self, name: str, action: str) -> None:
        done = getattr(self, f"do_{action}", None)
        if done is None:
            raise HTTPError(404, f"There is no action {action}.")
        answer = await done(name, self.get_json_body() or {})
        self.log.info("%s: %s by the operator", name, action)
        self.finish(json.dumps({"name": name, **answer}))

    async def do_invite(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        return link(people(self).invite(name, bool(how.get("admin"))))

    async def do_reset(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        return link(people(self).reset(name))

    async def do_approve(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        people(self).approve(name)
        return {}

    async def do_suspend(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        await people(self).suspend(name)
        return {}

    async def do_admin(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        people(self).set_admin(name, bool(how.get("admin", True)))
        return {}

    async def do_remove(self, name: str, how: dict[str, Any]) -> dict[str, Any]:
        return {"files": await people(self).remove(name)}


def link(made: Link) -> dict[str, Any]:
    expires = datetime.fromtimestamp(made.expires, UTC)
    return {"link": made.url, "expires": expires.isoformat(timespec="seconds")}
