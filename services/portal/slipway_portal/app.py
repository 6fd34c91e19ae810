"""The routes: the page, its state as JSON, its files. Who may see what is decided here, not how it looks."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slipway_portal.example import curl, make_key
from slipway_portal.settings import Settings
from slipway_portal.state import OVERALL, SERVICES, State, summary
from slipway_portal.watch import Watch

HERE = Path(__file__).parent
STATIC = HERE / "static"

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

ERRORS = {
    404: ("There is nothing at this address", "The link may be old, or a letter may be missing."),
    405: ("This page can only be read", "It takes no data."),
    500: ("The front page has failed", "Its log says why. The services it leads to go on without it."),
}


def create_app(settings: Settings, watch: Watch | None = None) -> Starlette:
    """The portal. Its checks run for as long as the application does."""
    watch = watch or Watch(settings)
    portal = Portal(settings, watch)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with watch.running():
            yield

    return Starlette(
        routes=[
            Route("/", portal.page),
            Route("/portal/state.json", portal.state),
            Route("/portal/overall.json", portal.overall),
            Route("/portal/health", portal.health),
            Route("/favicon.ico", portal.favicon),
            Mount("/portal/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={HTTPException: portal.http_error, Exception: portal.failure},
        middleware=[Middleware(SecurityHeaders)],
        lifespan=lifespan,
    )


class Portal:
    def __init__(self, settings: Settings, watch: Watch) -> None:
        self.settings, self.watch = settings, watch
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.globals.update(static=static_address, services=SERVICES)
        self.templates.filters.update(thousands=thousands, moment=moment)

    async def page(self, request: Request) -> Response:
        """For anyone. What only the logged-in may see is left out, unless the gateway says who is asking."""
        user, state = self.user(request), self.watch.state
        page = self.templates.get_template("index.html").render(
            user=user,
            admin=bool(user) and request.headers.get("x-remote-admin") == "1",
            state=state if user else State(),
            overall=state.overall,
            words=summary(state) if user else OVERALL[state.overall],
            example=curl(self.settings.public_url, state.models if user else None),
            make_key=make_key(state.models if user else None),
        )
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def state(self, request: Request) -> Response:
        """For the logged-in: the gateway asks the door-keeper and names them in X-Remote-User."""
        if not self.user(request):
            error = {"code": "not_logged_in", "message": "log in to see the state of the platform"}
            return JSONResponse({"error": error}, 401, headers={"Cache-Control": "no-store"})
        state = self.watch.state
        body = {
            **state.as_json(),
            "example": curl(self.settings.public_url, state.models),
            "make_key": make_key(state.models),
        }
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    def user(self, request: Request) -> str | None:
        """Whom the gateway names; anybody else's word does not count."""
        said = request.headers.get("x-gateway-secret", "").encode("latin-1")
        secret = self.settings.gateway_secret.get_secret_value().encode()
        return request.headers.get("x-remote-user") or None if hmac.compare_digest(said, secret) else None

    async def overall(self, request: Request) -> Response:
        """For anyone: one word, and the sentence for it."""
        overall = self.watch.state.overall
        body = {"overall": overall, "summary": OVERALL[overall]}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def health(self, request: Request) -> Response:
        alive = self.watch.alive
        return JSONResponse({"status": "ok" if alive else "checks have stopped"}, 200 if alive else 503)

    async def favicon(self, request: Request) -> Response:
        return FileResponse(STATIC / "mark.svg", headers={"Cache-Control": "max-age=86400"})

    async def http_error(self, request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = error.headers if isinstance(error, HTTPException) else None
        title, text = ERRORS.get(status, ("This did not work", "Try again from the front page."))
        page = self.templates.get_template("error.html").render(status=status, title=title, text=text)
        return HTMLResponse(page, status, headers={**(headers or {}), "Cache-Control": "no-store"})

    async def failure(self, request: Request, error: Exception) -> Response:
        """Starlette sends this page from outside the middleware, so it brings the headers itself."""
        response = await self.http_error(request, error)
        response.headers.update(SECURITY_HEADERS)
        return response


class SecurityHeaders:
    """Adds the headers to every answer, the files' included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                if "v=" in scope["query_string"].decode("latin-1") and message["status"] == 200:
                    headers.setdefault("Cache-Control", "public, max-age=31536000, immutable")
            await send(message)

        await self.app(scope, receive, send_with_headers)


def static_address(name: str) -> str:
    """The address of a file, with its digest: browsers may keep it for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/portal/static/{name}?v={digest}"


def thousands(number: int) -> str:
    """12345 -> `12 345`, with a space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def moment(iso: str) -> str:
    """`2026-11-24T07:31:05+00:00` -> `24 Nov 2026, 07:31 UTC`; what is no time is shown as it is."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{time.day} {time:%b %Y, %H:%M} {time.tzname() or ''}".rstrip()
