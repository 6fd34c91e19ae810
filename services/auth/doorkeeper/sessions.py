"""Asks the hub who holds a token, and takes a browser through the hub's OAuth login. Knows no HTTP routes."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError

SCOPE = "access:services!service=auth"


class HubUnavailable(Exception):
    """The hub did not answer, or does not know this service's own token."""


class NotAllowed(Exception):
    """The token is a real one, but may not open this door."""


class LoginExpired(Exception):
    """The login was not started here, took too long, or was already used."""


class Visitor(NamedTuple):
    name: str
    admin: bool
    groups: tuple[str, ...]


class Login(NamedTuple):
    state: str
    """Remembered in the browser's cookie too: who ends the login must be who began it."""
    url: str


class HubSessions:
    def __init__(self, api_url: str, api_token: str, cache_seconds: int) -> None:
        self._use_cache = cache_seconds > 0
        self._hub = HubOAuth(
            oauth_client_id="service-auth",
            oauth_redirect_uri="/auth/callback",
            base_url="/auth/",
            api_url=api_url,
            api_token=api_token,
            access_scopes={SCOPE},
            cache_max_age=max(cache_seconds, 1),
            # Browsers reach the hub by the same address as this service.
            hub_host="",
            hub_prefix="/hub/",
        )

    async def visitor(self, token: str, hub_session: str = "") -> Visitor | None:
        """Who holds the token: None if nobody. A browser's token lives as long as its session at the hub.

        Raises HubUnavailable, or NotAllowed for a token without the scope or that is no person's.
        """
        try:
            user = await self._hub.user_for_token(
                token, use_cache=self._use_cache, session_id=hub_session, sync=False
            )
        except HTTPError as error:
            raise HubUnavailable(error.log_message) from error
        if user is None:
            return None
        if user.get("kind") != "user":
            raise NotAllowed("this token belongs to a service, not to a person")
        if not self._hub.check_scopes(self._hub.access_scopes, user):
            raise NotAllowed(f"this token lacks the scope {SCOPE}; make one that has it at /hub/token")
        return Visitor(user["name"], bool(user.get("admin")), tuple(sorted(user.get("groups") or ())))

    def begin_login(self, next_path: str) -> Login:
        verifier, challenge, method = self._hub.generate_pkce_code_challenge()
        state = self._hub.generate_state(next_path, code_verifier=verifier)
        query = {
            "client_id": self._hub.oauth_client_id,
            "redirect_uri": self._hub.oauth_redirect_uri,
            "response_type": "code",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": method,
        }
        return Login(state, f"{self._hub.oauth_authorization_url}?{urlencode(query)}")

    async def finish_login(self, state: str, code: str) -> tuple[str, str]:
        """The token for the browser's cookie, and the path where the login began.

        Raises LoginExpired or HubUnavailable.
        """
        verifier, next_path = self._hub.get_code_verifier(state), self._hub.get_next_url(state)
        if verifier is None:
            raise LoginExpired
        self._hub.clear_oauth_state(state)
        try:
            token = await self._hub.token_for_code(code, code_verifier=verifier, sync=False)
        except HTTPError as error:
            if "invalid_grant" in (error.log_message or "") or error.status_code < 500:
                raise LoginExpired from error
            raise HubUnavailable(error.log_message) from error
        return token, next_path

    async def check(self) -> None:
        """Raises HubUnavailable unless the hub answers and knows this service's token."""
        try:
            me = await self._hub.user_for_token(self._hub.api_token, use_cache=False, sync=False)
        except HTTPError as error:
            raise HubUnavailable(error.log_message) from error
        if me is None:
            raise HubUnavailable("the hub does not know this service's token")
