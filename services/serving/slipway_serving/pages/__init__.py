"""Pages for people: the models there are, and one model with a form to try it. Programs get JSON at the same
addresses.

Addresses in the pages are relative, so that they hold under whatever prefix a gateway puts before them;
scripts and styles are files from here, nothing is inline.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from ..describe import describe_model
from ..guard import caller_of
from .view import ModelView, format_count, moment

if TYPE_CHECKING:
    from ..api import Parts

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}


class ForBrowsers(Route):
    """A route for those alone who would rather have HTML than JSON; others go on to the next one."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        if match is Match.FULL and not prefers_html(scope):
            return Match.NONE, {}
        return match if match is Match.FULL else Match.NONE, child


def prefers_html(scope: Scope) -> bool:
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    weights: dict[str, float] = {}
    for part in accepted.decode("latin-1").lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((piece[2:] for piece in parameters if piece.startswith("q=")), "1")
        try:
            weights[kind] = float(weight)
        except ValueError:
            weights[kind] = 0
    return weights.get("text/html", 0) > weights.get("application/json", 0)


def install_pages(app: FastAPI, parts: Parts) -> None:
    """To be called before the routes that answer with JSON at the same addresses."""
    pages = Pages(parts)
    app.router.routes += [ForBrowsers("/models", pages.models), ForBrowsers("/models/{name}", pages.model)]
    app.mount("/static", StaticFiles(directory=STATIC), name="static")


class Pages:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals["static"] = _static_address
        self._templates.filters.update(count=format_count, moment=moment)

    async def models(self, request: Request) -> Response:
        caller = caller_of(request)
        models = [self._view(request, name) for name in self._parts.shelf.slots(caller.may_use)]
        return self._page("models.html", base="", caller=caller, models=models)

    async def model(self, request: Request) -> Response:
        name, caller = request.path_params["name"], caller_of(request)
        slots = self._parts.shelf.slots(caller.may_use)
        if name not in slots:
            return self._page("missing.html", 404, base="../", caller=caller, name=name, others=list(slots))
        return self._page("model.html", base="../", caller=caller, model=self._view(request, name))

    def _view(self, request: Request, name: str) -> ModelView:
        parts, slot = self._parts, self._parts.shelf.slot(name)
        live = slot.live.model if slot and slot.live else None
        visits = parts.visitors.report_for(caller_of(request))["models"].get(name)
        return ModelView(
            facts=describe_model(name, slot, parts.runner.stuck()),
            visits=visits,
            minutes=parts.observations.history.last_hour(name),
            example_rows=live.example_rows if live else None,
            probabilities=bool(live and live.probabilities),
            address=_public_address(request),
        )

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        page = self._templates.get_template(template).render(**values)
        return HTMLResponse(page, status, HEADERS)


def _public_address(request: Request) -> str:
    """Where the one who asks has reached this server: for the examples on the page."""
    scheme = request.headers.get("x-forwarded-proto", request.url.scheme)
    host = request.headers.get("host", "localhost")
    return f"{'https' if scheme == 'https' else 'http'}://{host}{request.scope.get('root_path', '')}"


def _static_address(name: str) -> str:
    """With the file's digest, so that a browser never keeps one of an older release."""
    return f"static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"
