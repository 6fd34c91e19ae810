"""The gate: which requests of the hub reach the engine, in one table. What a body may hold is in bodies.py.

The engine is asked with requests written here from checked parts, never with the caller's own. A container or
a network is looked at first and then named by its id, so what was checked is what is acted on. Whatever the
table does not have is answered with 403, a sentence, and a line in the log.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dockergate import answers, bodies
from dockergate.bodies import NotAllowed
from dockergate.engine import Engine, Unreachable
from dockergate.settings import Settings

LARGEST_BODY = 1024 * 1024
NAME = r"(?P<name>[a-zA-Z0-9][a-zA-Z0-9_.-]*)"
IMAGE = r"(?P<name>[a-z0-9][a-zA-Z0-9_.:/@-]*)"
YES_OR_NO = "[01]|true|false|True|False"
VERSIONED = re.compile(r"(?P<version>/v1\.[0-9]{2})?(?P<path>/.*)")

log = logging.getLogger("dockergate")

Handler = Callable[["Asked"], Awaitable[Response]]


class NotThere(Exception):
    """What the request names does not exist."""


class Asked:
    """One request: its parts, checked where they are used."""

    def __init__(self, request: Request, version: str, name: str, body: bytes) -> None:
        self.version, self.name, self.body = version, name, body
        self.query = request.query_params.multi_items()

    def options(self, **allowed: str) -> dict[str, str]:
        """The query: names that are allowed, each once, with a value that fits its pattern."""
        found = dict(self.query)
        for name, value in self.query:
            if name not in allowed or not re.fullmatch(allowed[name], value):
                raise NotAllowed(f"the option {name}={value[:80]} is not for the hub")
        if len(found) < len(self.query):
            raise NotAllowed("an option comes twice")
        return found


def create_app(settings: Settings, engine: Engine | None = None) -> Starlette:
    engine = engine or Engine(settings.docker_socket)
    _log_to_stderr()
    table = [
        (methods, re.compile(path), handler) for methods, path, handler in Gate(settings, engine).table()
    ]

    async def gate(request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1")
        try:
            return await _answer(table, request, path)
        except NotAllowed as refusal:
            log.warning("refused: %s %s: %s", request.method, json.dumps(path[:200]), refusal)
            return JSONResponse({"message": f"dockergate: {refusal}"}, 403)
        except NotThere as error:
            return JSONResponse({"message": str(error)}, 404)
        except Unreachable as error:
            log.error("the engine does not answer: %s", error)
            return JSONResponse({"message": f"dockergate: the Docker Engine does not answer ({error})"}, 502)

    @asynccontextmanager
    async def lifespan(_: Starlette):
        yield
        await engine.close()

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
    return Starlette(routes=[Route("/{path:path}", gate, methods=methods)], lifespan=lifespan)


async def _answer(table: list[tuple[str, re.Pattern[str], Handler]], request: Request, path: str) -> Response:
    parts = VERSIONED.fullmatch(path)
    if parts is None or "%" in path or "//" in path or ".." in path:
        raise NotAllowed("this is no path of the engine's interface")
    for methods, pattern, handler in table:
        found = pattern.fullmatch(parts["path"])
        if found and request.method in methods.split():
            name = found.groupdict().get("name", "")
            return await handler(Asked(request, parts["version"] or "", name, await _body(request)))
    raise NotAllowed("this is not for the hub")


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise NotAllowed("the body is too large")
    return body


class Gate:
    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings, self.engine = settings, engine

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, and who answers."""
        return [
            ("GET HEAD", "/_ping", self.ping),
            ("GET", "/version", self.version),
            ("GET", f"/images/{IMAGE}/json", self.image),
            ("GET", "/containers/json", self.containers),
            ("POST", "/containers/create", self.create),
            ("GET", f"/containers/{NAME}/json", self.container),
            ("POST", f"/containers/{NAME}/start", self.start),
            ("POST", f"/containers/{NAME}/stop", self.stop),
            ("DELETE", f"/containers/{NAME}", self.remove),
            ("GET", "/networks", self.networks),
            ("POST", "/networks/create", self.create_network),
            ("GET", f"/networks/{NAME}", self.network),
            ("DELETE", f"/networks/{NAME}", self.remove_network),
            ("POST", f"/networks/{NAME}/connect", self.connect),
            ("POST", f"/networks/{NAME}/disconnect", self.disconnect),
        ]

    async def ping(self, asked: Asked) -> Response:
        return await self.engine.ask("GET", "/_ping")

    async def version(self, asked: Asked) -> Response:
        return await self.engine.ask("GET", "/version", reduce=answers.version)

    async def image(self, asked: Asked) -> Response:
        if asked.name not in self.settings.notebook_images:
            raise NotAllowed(f"{asked.name} is not among NOTEBOOK_IMAGES")
        return await self.engine.ask("GET", f"{asked.version}/images/{asked.name}/json", reduce=answers.image)

    async def containers(self, asked: Asked) -> Response:
        options = asked.options(
            all="[01]|true|false|True|False", filters=".*", limit="-1", size="0", trunc_cmd="0"
        )
        everything = {"all": "1"} if options.get("all", "0") in {"1", "true", "True"} else {}
        reduce = answers.containers(self.settings)
        return await self.engine.ask("GET", f"{asked.version}/containers/json", everything, reduce=reduce)

    async def create(self, asked: Asked) -> Response:
        name = asked.options(name="[a-zA-Z0-9_.-]+").get("name", "")
        body = bodies.written(bodies.server(asked.body, name, self.settings))
        return await self.engine.ask("POST", f"{asked.version}/containers/create", {"name": name}, body)

    async def container(self, asked: Asked) -> Response:
        path = f"{asked.version}/containers/{await self._server(asked)}/json"
        return await self.engine.ask("GET", path, reduce=answers.container)

    async def start(self, asked: Asked) -> Response:
        asked.options()
        return await self.engine.ask("POST", f"{asked.version}/containers/{await self._server(asked)}/start")

    async def stop(self, asked: Asked) -> Response:
        options = asked.options(t="[0-9]{1,3}")
        path = f"{asked.version}/containers/{await self._server(asked)}/stop"
        return await self.engine.ask("POST", path, options)

    async def remove(self, asked: Asked) -> Response:
        options = asked.options(v=YES_OR_NO, force=YES_OR_NO, link="0|false|False")
        path = f"{asked.version}/containers/{await self._server(asked)}"
        return await self.engine.ask("DELETE", path, options)

    async def networks(self, asked: Asked) -> Response:
        asked.options(filters=".*")
        return await self.engine.ask(
            "GET", f"{asked.version}/networks", reduce=answers.networks(self.settings)
        )

    async def create_network(self, asked: Asked) -> Response:
        asked.options()
        body = bodies.written(bodies.network(asked.body, self.settings))
        return await self.engine.ask("POST", f"{asked.version}/networks/create", body=body)

    async def network(self, asked: Asked) -> Response:
        asked.options(verbose="false|0", scope="local")
        path = f"{asked.version}/networks/{await self._network(asked)}"
        return await self.engine.ask("GET", path, reduce=answers.network(self.settings))

    async def remove_network(self, asked: Asked) -> Response:
        asked.options()
        return await self.engine.ask("DELETE", f"{asked.version}/networks/{await self._network(asked)}")

    async def connect(self, asked: Asked) -> Response:
        asked.options()
        body = bodies.read(bodies.Connect, asked.body)
        found = await self._look(asked.version, body.Container)
        service = answers.service_of(found, self.settings)
        if service is None:
            raise NotAllowed(f"{body.Container} is not the gateway, proxy, hub or egress of this project")
        bodies.aliases(body, service)
        path = f"{asked.version}/networks/{await self._network(asked)}/connect"
        joining = body.model_copy(update={"Container": found["Id"]})
        return await self.engine.ask("POST", path, body=bodies.written(joining))

    async def disconnect(self, asked: Asked) -> Response:
        asked.options()
        body = bodies.read(bodies.Disconnect, asked.body)
        path = f"{asked.version}/networks/{await self._network(asked)}/disconnect"
        # Whoever is on a network of users' servers may be taken off it, whether it is running or long gone.
        return await self.engine.ask("POST", path, body=bodies.written(body))

    async def _server(self, asked: Asked) -> str:
        """The id of a user's server of this project."""
        found = await self._look(asked.version, asked.name)
        if not answers.is_server(found, self.settings):
            raise NotAllowed(f"the container {asked.name} is no user's server of this project")
        return found["Id"]

    async def _look(self, version: str, name: str) -> dict[str, Any]:
        """The container as the engine knows it."""
        found = await self.engine.inspect(f"{version}/containers/{name}/json")
        if found is None:
            raise NotThere(f"No such container: {name}")
        return found

    async def _network(self, asked: Asked) -> str:
        """The id of a network for users' servers of this project."""
        found = await self.engine.inspect(f"{asked.version}/networks/{asked.name}")
        if found is None:
            raise NotThere(f"network {asked.name} not found")
        if not answers.is_network_of_a_server(found, self.settings):
            raise NotAllowed(f"the network {asked.name} is not one for users' servers of this project")
        return found["Id"]


def _log_to_stderr() -> None:
    if not log.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
