"""The routes under /auth. What may pass is decided in rules.py, who is asking in sessions.py."""

from __future__ import annotations

import contextlib
import hmac
import logging
from collections.abc import AsyncIterator
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from doorkeeper import key_routes
from doorkeeper.answers import LOG_IN, Refused, refusal, refused, unauthenticated, unavailable
from doorkeeper.key_routes import KeyRoutes
from doorkeeper.key_settings import KeySettings
from doorkeeper.rights import identity
from doorkeeper.rules import HARMLESS, bearer_token, local_path, may_change_state_by_cookie, wants_a_page
from doorkeeper.sessions import HubSessions, HubUnavailable, LoginExpired, NotAllowed, Visitor
from doorkeeper.settings import Settings

log = logging.getLogger("uvicorn.error")

SESSION_COOKIE = "slipway-session"
HUB_SESSION_COOKIE = "jupyterhub-session-id"
# A cookie for each login under way, so that two tabs can log in at once.
LOGIN_COOKIE = "slipway-login-{}"
LOGIN_SECONDS = 600
OTHER_PAGE = (
    "a login in the browser changes nothing from another page, or from one that sends no Referer; "
    "a program sends a token made at /hub/token"
)
ANY_METHOD = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def create_app(settings: Settings, key_settings: KeySettings | None = None) -> Starlette:
    """The door-keeper; it issues API keys where it is told how to keep them."""
    sessions = HubSessions(
        settings.hub_api_url, settings.auth_service_token.get_secret_value(), settings.auth_cache_seconds
    )
    routes = Routes(sessions, settings)
    keys = KeyRoutes.configured(key_settings, routes.person) if key_settings else None

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if keys:
            await keys.close()

    return Starlette(
        routes=[
            Route("/auth/verify", routes.verify, methods=ANY_METHOD),
            Route("/auth/whoami", routes.whoami),
            Route("/auth/login", routes.login),
            Route("/auth/callback", routes.callback),
            Route("/auth/logout", routes.logout),
            Route("/auth/health", routes.health),
            *(keys.routes if keys else ()),
        ],
        exception_handlers={
            HubUnavailable: hub_unavailable,
            NotAllowed: not_allowed,
            LoginExpired: expired,
            Refused: refused,
            **key_routes.EXCEPTION_HANDLERS,
        },
        lifespan=lifespan,
    )


class Asking(NamedTuple):
    visitor: Visitor | None
    how: str
    """`token`, `cookie` or `nothing`."""


class Routes:
    def __init__(self, sessions: HubSessions, settings: Settings) -> None:
        self.sessions, self.settings = sessions, settings

    async def verify(self, request: Request) -> Response:
        """The gateway asks here about each request: 200 with the visitor's headers lets it through."""
        method = request.headers.get("x-forwarded-method", request.method)
        visitor, how = await self.asking(request)
        if visitor is None:
            if how != "token" and wants_a_page(method, request.headers):
                return self.to_login(request.headers.get("x-forwarded-uri", "/"))
            return unauthenticated()
        self.check_page(request, how, method)
        return Response(headers={**identity(visitor), "Cache-Control": "no-store"})

    async def whoami(self, request: Request) -> Response:
        visitor, _ = await self.asking(request)
        if visitor is None:
            return unauthenticated()
        body = {"user": visitor.name, "admin": visitor.admin, "groups": list(visitor.groups)}
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    async def login(self, request: Request) -> Response:
        return self.to_login(request.query_params.get("next", "/"))

    async def callback(self, request: Request) -> Response:
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        begun = request.cookies.get(LOGIN_COOKIE.format(state[:8]), "")
        if "error" in request.query_params:
            return page(403, "The hub did not let you in", "Ask an administrator for access, then")
        if not code or not state or not hmac.compare_digest(state.encode(), begun.encode()):
            raise LoginExpired
        token, next_path = await self.sessions.finish_login(state, code)
        response = RedirectResponse(local_path(next_path), 302)
        self.set_cookie(response, SESSION_COOKIE, token, path="/")
        response.delete_cookie(LOGIN_COOKIE.format(state[:8]), path="/auth/")
        return response

    async def logout(self, request: Request) -> Response:
        """Ends the session here; the hub then ends its own and forgets the tokens made for it."""
        response = RedirectResponse("/hub/logout", 302)
        response.delete_cookie(
            SESSION_COOKIE, path="/", secure=self.settings.secure_cookies, httponly=True, samesite="lax"
        )
        return response

    async def health(self, request: Request) -> Response:
        await self.sessions.check()
        return JSONResponse({"status": "ok"})

    async def person(self, request: Request) -> Visitor:
        """Who is asking one of our own routes; raises Refused for nobody, and for the wrong page."""
        visitor, how = await self.asking(request)
        if visitor is None:
            raise Refused(401, "UNAUTHENTICATED", LOG_IN)
        self.check_page(request, how, request.method)
        return visitor

    def check_page(self, request: Request, how: str, method: str) -> None:
        """Raises Refused where a page that is not ours to write from would change something."""
        if how != "cookie" or method in HARMLESS:
            return
        if not may_change_state_by_cookie(request.headers, self.settings.public_origin):
            raise Refused(403, "PERMISSION_DENIED", OTHER_PAGE)

    async def asking(self, request: Request) -> Asking:
        """A token that was sent is the only one looked at: a wrong one never falls back to a cookie."""
        if authorization := request.headers.get("authorization"):
            token = bearer_token(authorization)
            return Asking(await self.sessions.visitor(token) if token else None, "token")
        if token := request.cookies.get(SESSION_COOKIE):
            hub_session = request.cookies.get(HUB_SESSION_COOKIE, "")
            return Asking(await self.sessions.visitor(token, hub_session), "cookie")
        return Asking(None, "nothing")

    def to_login(self, next_path: str) -> Response:
        login = self.sessions.begin_login(local_path(next_path))
        response = RedirectResponse(login.url, 302, headers={"Cache-Control": "no-store"})
        name = LOGIN_COOKIE.format(login.state[:8])
        self.set_cookie(response, name, login.state, path="/auth/", max_age=LOGIN_SECONDS)
        return response

    def set_cookie(
        self, response: Response, name: str, value: str, path: str, max_age: int | None = None
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            path=path,
            secure=self.settings.secure_cookies,
            httponly=True,
            samesite="lax",
        )


async def hub_unavailable(request: Request, error: Exception) -> Response:
    log.warning("the hub is unavailable: %s", error)
    return unavailable("the hub does not answer; try again in a moment")


async def not_allowed(request: Request, error: Exception) -> Response:
    return refusal(403, "PERMISSION_DENIED", str(error))


async def expired(request: Request, error: Exception) -> Response:
    return page(403, "This login has expired", "It took too long or was begun in another browser:")


def page(status: int, title: str, text: str) -> Response:
    return HTMLResponse(
        f"<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><body style='font:16px system-ui;margin:4rem auto;max-width:30rem'>"
        f"<h1>{title}</h1><p>{text} <a href='/auth/login'>log in again</a>.</p>",
        status,
        headers={"Cache-Control": "no-store"},
    )
