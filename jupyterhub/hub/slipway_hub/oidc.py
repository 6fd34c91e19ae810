"""Accounts of the company's OpenID Connect provider. Who is an administrator is the provider's word alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from oauthenticator.generic import GenericOAuthenticator

from slipway_hub import ready
from slipway_hub.settings import Settings


class ProviderAuthenticator(GenericOAuthenticator):
    def get_handlers(self, app: Any) -> list[tuple[str, type]]:
        return [*super().get_handlers(app), *ready.handlers()]

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """An administrator of earlier accounts, or of before a group was left, is none any more.

        JupyterHub keeps the old answer where there is none; membership of a group is added after this.
        """
        auth_model["admin"] = auth_model["name"] in self.admin_users
        return auth_model


class Endpoints(NamedTuple):
    authorize: str
    token: str
    userdata: str


class ProviderUnreachable(Exception):
    """The provider does not tell where its endpoints are."""


def configure(c: Any, settings: Settings) -> None:
    endpoints = find_endpoints(settings)
    c.JupyterHub.authenticator_class = ProviderAuthenticator
    provider = c.ProviderAuthenticator
    provider.client_id = settings.oidc_client_id
    provider.client_secret = settings.oidc_client_secret.get_secret_value()
    provider.authorize_url, provider.token_url, provider.userdata_url = endpoints
    provider.oauth_callback_url = f"{settings.public_url}/hub/oauth_callback"
    provider.scope = sorted(settings.oidc_scopes)
    provider.login_service = settings.oidc_label
    provider.username_claim = settings.oidc_username_claim
    provider.manage_groups = True
    provider.auth_state_groups_key = f"oauth_user.{settings.oidc_groups_claim}"
    provider.admin_users = set(settings.oidc_admin_users)
    provider.admin_groups = set(settings.oidc_admin_groups)
    provider.allowed_groups = set(settings.oidc_allowed_groups)
    provider.allow_all = not settings.oidc_allowed_groups
    # Kept encrypted, so that a session ends when the provider no longer renews it.
    provider.enable_auth_state = True


def find_endpoints(settings: Settings) -> Endpoints:
    """As set, and what is not set as the issuer publishes it. Raises ProviderUnreachable."""
    published = discover(settings.oidc_issuer) if settings.oidc_issuer else {}
    found = (
        settings.oidc_authorize_url or published.get("authorization_endpoint"),
        settings.oidc_token_url or published.get("token_endpoint"),
        settings.oidc_userdata_url or published.get("userinfo_endpoint"),
    )
    if not all(found):
        raise ProviderUnreachable(
            f"OIDC_ISSUER {settings.oidc_issuer} does not publish all its endpoints; "
            "set OIDC_AUTHORIZE_URL, OIDC_TOKEN_URL and OIDC_USERDATA_URL"
        )
    return Endpoints(*found)


def discover(issuer: str) -> dict[str, str]:
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    if not address.startswith(("https://", "http://")):
        raise ProviderUnreachable(f"OIDC_ISSUER {issuer} is not an http(s) address; correct it in .env")
    try:
        with urllib.request.urlopen(address, timeout=10) as reply:  # noqa: S310 (checked above)
            return json.load(reply)
    except (urllib.error.URLError, ValueError, TimeoutError) as error:
        raise ProviderUnreachable(
            f"OIDC_ISSUER {issuer} did not answer at {address} ({error}); "
            "correct it, or set OIDC_AUTHORIZE_URL, OIDC_TOKEN_URL and OIDC_USERDATA_URL"
        ) from error
