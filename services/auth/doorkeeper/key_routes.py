"""The routes of API keys: people make, list and revoke them; serving fetches what it needs to check them."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from doorkeeper.answers import Refused, unavailable
from doorkeeper.key_settings import KeySettings
from doorkeeper.key_store import KeyStore, NameTaken, TooMany
from doorkeeper.keys import EVERY_MODEL, Key, Signer, Wanted, make, read_wanted
from doorkeeper.rights import Rights, RightsUnknown
from doorkeeper.sessions import Visitor

log = logging.getLogger("uvicorn.error")

MAX_BODY_BYTES = 64 * 1024
MAX_KEYS = 200
"""Of one person, expired ones not counted."""
NOT_KEPT = {"Cache-Control": "no-store"}

Who = Callable[[Request], Awaitable[Visitor]]
"""Who is asking; raises Refused for nobody, and for a page that may not change anything."""


class KeyRoutes:
    def __init__(self, store: KeyStore, signer: Signer, rights: Rights, who: Who) -> None:
        self.store, self.signer, self.rights, self.who = store, signer, rights, who

    @classmethod
    def configured(cls, settings: KeySettings, who: Who) -> KeyRoutes:
        signer = Signer(settings.api_key_signing_seed.get_secret_value())
        rights = Rights(settings.auth_mlflow_url, settings.gateway_secret.get_secret_value())
        return cls(KeyStore(settings.database), signer, rights, who)

    async def close(self) -> None:
        await self.rights.close()
        self.store.close()

    @property
    def routes(self) -> list[Route]:
        return [
            Route("/auth/keys", self.list, methods=["GET"]),
            Route("/auth/keys", self.create, methods=["POST"]),
            Route("/auth/keys/{id}", self.revoke, methods=["DELETE"]),
            Route("/auth/internal/keys", self.feed, methods=["GET"]),
        ]

    async def create(self, request: Request) -> Response:
        """201 with the key's text, which is never shown again."""
        visitor = await self.who(request)
        wanted = read_wanted(await read_json(request))
        await self.allow(visitor, wanted)
        key = make(wanted, visitor.name, self.signer.kid, int(time.time()))
        try:
            await run_in_threadpool(self.store.add, key, MAX_KEYS)
        except NameTaken:
            raise Refused(
                409,
                "RESOURCE_ALREADY_EXISTS",
                f"name: somebody else has a key called {key.name}; choose another name",
            ) from None
        except TooMany:
            raise Refused(
                409, "RESOURCE_EXHAUSTED", f"you have {MAX_KEYS} keys that have not expired; ask for no more"
            ) from None
        log.info("key %s (%s) made by %s for %s", key.id, key.name, key.owner, ", ".join(key.models))
        body = {**self.describe(key), "key": self.signer.text(key)}
        return JSONResponse(body, 201, headers=NOT_KEPT)

    async def list(self, request: Request) -> Response:
        """One's own; an administrator sees all."""
        visitor = await self.who(request)
        found = await run_in_threadpool(self.store.all, None if visitor.admin else visitor.name)
        return JSONResponse({"keys": [self.describe(key) for key in found]}, headers=NOT_KEPT)

    async def revoke(self, request: Request) -> Response:
        """Revoked already is revoked too."""
        visitor = await self.who(request)
        key_id = request.path_params["id"]
        key = await run_in_threadpool(self.store.get, key_id)
        if key is None or not (visitor.admin or key.owner == visitor.name):
            raise Refused(404, "RESOURCE_DOES_NOT_EXIST", f"id: you have no key {key_id[:50]!r}")
        await run_in_threadpool(self.store.revoke, key.id, visitor.name, int(time.time()))
        log.info("key %s (%s) of %s revoked by %s", key.id, key.name, key.owner, visitor.name)
        revoked = await run_in_threadpool(self.store.get, key.id)
        return JSONResponse(self.describe(revoked or key), headers=NOT_KEPT)

    async def feed(self, request: Request) -> Response:
        """For serving: what keys are checked with. Nothing in it is secret; the gateway keeps it inside."""
        revoked = await run_in_threadpool(self.store.revoked, int(time.time()))
        body: dict[str, Any] = {
            "keys": [{"kid": self.signer.kid, "public_key": self.signer.public_key}],
            "revoked": [{"id": key.id, "exp": key.expires} for key in revoked],
        }
        version = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
        return JSONResponse({**body, "version": version}, headers=NOT_KEPT)

    async def allow(self, visitor: Visitor, wanted: Wanted) -> None:
        """Raises Refused unless the person may let an application use these models."""
        if visitor.admin:
            return
        if wanted.models == (EVERY_MODEL,):
            raise Refused(
                403, "PERMISSION_DENIED", "models: only an administrator makes keys for *; name the models"
            )
        for model in wanted.models:
            if not await self.rights.manages(visitor, model):
                raise Refused(
                    403,
                    "PERMISSION_DENIED",
                    f"models: {model!r} is no registered model that you manage; its creator or an "
                    "administrator can make the key, or let you manage the model",
                )

    def describe(self, key: Key) -> dict[str, Any]:
        return {
            "id": key.id,
            "name": key.name,
            "models": list(key.models),
            "owner": key.owner,
            "created": as_text(key.created),
            "expires": as_text(key.expires),
            "revoked": None if key.revoked is None else as_text(key.revoked),
            "state": self.state(key),
        }

    def state(self, key: Key) -> str:
        """`replaced`: made with a signing key that is gone, so that serving refuses it."""
        if key.revoked is not None:
            return "revoked"
        if key.expires <= time.time():
            return "expired"
        return "live" if key.kid == self.signer.kid else "replaced"


async def read_json(request: Request) -> bytes:
    """The body of a request that says it is JSON, which no other site's form can say; raises Refused."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "INVALID_PARAMETER_VALUE", "Content-Type: send application/json")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise Refused(413, "INVALID_PARAMETER_VALUE", f"the body is larger than {MAX_BODY_BYTES} bytes")
    return body


def as_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


async def database_unavailable(request: Request, error: Exception) -> Response:
    log.warning("the keys' database is unavailable: %s", str(error).splitlines()[0])
    return unavailable(
        "the keys' database does not answer; keys that exist go on working; try again in a moment"
    )


async def rights_unknown(request: Request, error: Exception) -> Response:
    log.warning("MLflow does not say who manages what: %s", error)
    return unavailable("MLflow does not answer, which knows whose the models are; try again in a moment")


EXCEPTION_HANDLERS = {SQLAlchemyError: database_unavailable, RightsUnknown: rights_unknown}
