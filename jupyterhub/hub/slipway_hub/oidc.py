"""Accounts of the company's OpenID Connect provider. Who is an administrator is the provider's word alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLogoutHandler
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError
from traitlets import Unicode

from slipway_hub import operator_api, ready
from slipway_hub.oidc_discovery import ProviderUnreachable, find
from slipway_hub.sessions import EndsEverySession
from slipway_hub.settings import Settings, secrets_dir

__all__ = ["ProviderAuthenticator", "ProviderUnreachable", "configure"]

CA_CERTIFICATE = "oidc_ca_certificate"
"""The secret with the certificate of a private authority that the provider's own is signed by."""


class Callback(OAuthCallbackHandler):
    def check_error(self) -> None:
        """Somebody who says no at the provider, or whom it turns away, is told so and can try again."""
        if error := self.get_argument("error", ""):
            why = self.get_argument("error_description", "") or error
            raise HTTPError(403, f"{self.authenticator.login_service} did not let you in: {why}.")


class Logout(EndsEverySession, OAuthLogoutHandler):
    """With an end_session_url, the session at the provider ends too, without a question to the person."""

    async def default_handle_logout(self) -> None:
        user = self.current_user
        state = await user.get_auth_state() if user and self.authenticator.end_session_url else None
        self.id_token = (state or {}).get("id_token")
        await super().default_handle_logout()

    async def render_logout_page(self) -> None:
        if not self.authenticator.end_session_url:
            await super().render_logout_page()
            return
        query = {
            "client_id": self.authenticator.client_id,
            "post_logout_redirect_uri": self.authenticator.after_logout_url,
        }
        if self.id_token:
            query["id_token_hint"] = self.id_token
        self.redirect(f"{self.authenticator.end_session_url}?{urlencode(query)}")


class ProviderAuthenticator(GenericOAuthenticator):
    callback_handler = Callback
    logout_handler = Logout

    end_session_url = Unicode(help="Where a session at the provider is ended; empty leaves it alone.").tag(
        config=True
    )
    after_logout_url = Unicode(help="Where the provider sends browsers then.").tag(config=True)

    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        return [*super().get_handlers(app), *operator_api.handlers(), *ready.handlers()]

    async def httpfetch(self, url: str, label: str = "fetching", **options: Any) -> Any:
        """The provider's refusals and silences in words; its own are in the hub's log."""
        try:
            return await super().httpfetch(url, label, **options)
        except HTTPClientError as error:
            if error.code in (400, 401, 403):
                raise HTTPError(
                    502,
                    f"The provider refused ({error.code}). Try again; if that does not help, OIDC_CLIENT_ID "
                    "or the secret oidc_client_secret is not what it knows this platform by. The hub's log "
                    "says why.",
                ) from error
            raise unreachable() from error
        except OSError as error:
            self.log.error("%s %s: %s", label, url, error)
            raise unreachable() from error

    def user_info_to_username(self, user_info: dict[str, Any]) -> str:
        """The claim, if it is there and the provider vouches for it: whoever can choose their own e-mail
        address could else choose to be somebody else."""
        claim = self.username_claim
        if not user_info.get(claim):
            known = ", ".join(sorted(user_info))
            raise HTTPError(
                403,
                f"Your account has no {claim}, which is the name here (OIDC_USERNAME_CLAIM); it has {known}.",
            )
        if claim == "email" and user_info.get("email_verified") is False:
            raise HTTPError(
                403, "The provider has not verified your e-mail address, which is your name here."
            )
        return user_info[claim]

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Some providers write one group as a word and not as a list."""
        claims = auth_state.get(self.user_auth_state_key) or {}
        one = claims.get(self.auth_state_groups_key.partition(".")[2])
        return {one} if isinstance(one, str) else await super().get_user_groups(auth_state)

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """An administrator of earlier accounts, or of before a group was left, is none any more.

        JupyterHub keeps the old answer where there is none; membership of a group is added after this.
        """
        auth_model["admin"] = auth_model["name"] in self.admin_users
        return auth_model


def unreachable() -> HTTPError:
    return HTTPError(503, "The provider does not answer just now. Try again in a moment.")


def configure(c: Any, settings: Settings) -> None:
    authority = secrets_dir() / CA_CERTIFICATE
    trusted = str(authority) if authority.is_file() else None
    found = find(settings, trusted)
    c.JupyterHub.authenticator_class = ProviderAuthenticator
    provider = c.ProviderAuthenticator
    provider.client_id = settings.oidc_client_id
    provider.client_secret = settings.oidc_client_secret.get_secret_value()
    provider.authorize_url, provider.token_url, provider.userdata_url = found.endpoints
    provider.basic_auth = found.basic_auth
    provider.enable_pkce = True
    if trusted:
        provider.http_request_kwargs = {"ca_certs": trusted}
    provider.oauth_callback_url = f"{settings.public_url}/hub/oauth_callback"
    if settings.oidc_logout == "provider":
        provider.end_session_url = found.end_session
        provider.after_logout_url = f"{settings.public_url}/"
    provider.scope = sorted(settings.oidc_scopes)
    provider.login_service = settings.oidc_label
    provider.username_claim = settings.oidc_username_claim
    provider.manage_groups = True
    provider.auth_state_groups_key = f"oauth_user.{settings.oidc_groups_claim}"
    provider.admin_users = set(settings.oidc_admin_users)
    provider.admin_groups = set(settings.oidc_admin_groups)
    provider.allowed_groups = set(settings.oidc_allowed_groups)
    provider.allow_all = not settings.oidc_allowed_groups
    provider.custom_403_message = not_let_in(settings)
    # Kept encrypted, so that a session ends when the provider no longer renews it.
    provider.enable_auth_state = True


def not_let_in(settings: Settings) -> str:
    """For somebody whom the provider knows and this platform does not take."""
    reasons = [
        f"its {settings.oidc_username_claim}, which is the name here, has characters that no name has "
        "(letters, digits and . _ @ + - are good)"
    ]
    if settings.oidc_allowed_groups:
        groups = ", ".join(sorted(settings.oidc_allowed_groups))
        reasons.insert(0, f"it is in none of the groups that are let in ({groups})")
    return f"Your account is known, but {', or '.join(reasons)}. Ask an administrator of this platform."
