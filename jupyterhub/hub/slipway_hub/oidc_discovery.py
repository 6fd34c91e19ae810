"""What an OpenID Connect provider publishes about itself, asked once when the hub starts."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any, NamedTuple

from slipway_hub.settings import Settings


class ProviderUnreachable(Exception):
    """The provider does not tell where its endpoints are."""


class Endpoints(NamedTuple):
    authorize: str
    token: str
    userdata: str


class Provider(NamedTuple):
    endpoints: Endpoints
    end_session: str
    """Empty if it has none."""
    basic_auth: bool
    """Whether the client's secret goes into a header, and not into the form."""


def find(settings: Settings, authority: str | None = None) -> Provider:
    """As set, and what is not set as the issuer publishes it; `authority` is a file of certificates to trust.

    Raises ProviderUnreachable.
    """
    published = discover(settings.oidc_issuer, authority) if settings.oidc_issuer else {}
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
    end_session = published.get("end_session_endpoint", "")
    if settings.oidc_logout == "provider" and not end_session:
        raise ProviderUnreachable(
            "OIDC_LOGOUT is provider, but the provider publishes no end_session_endpoint; "
            "set OIDC_LOGOUT=hub, or OIDC_ISSUER where it is missing"
        )
    # Both words are the standard's; a provider that names no method takes the header.
    methods = published.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Provider(Endpoints(*found), end_session, bool(published) and "client_secret_post" not in methods)


def discover(issuer: str, authority: str | None = None) -> dict[str, Any]:
    address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
    if not address.startswith(("https://", "http://")):
        raise ProviderUnreachable(f"OIDC_ISSUER {issuer} is not an http(s) address; correct it in .env")
    trust = ssl.create_default_context()
    if authority:
        trust.load_verify_locations(authority)
    try:
        with urllib.request.urlopen(address, timeout=10, context=trust) as reply:  # noqa: S310 (checked above)
            published = json.load(reply)
    except (urllib.error.URLError, ValueError, TimeoutError) as error:
        raise ProviderUnreachable(
            f"OIDC_ISSUER {issuer} did not answer at {address} ({error}); correct it, "
            "or set OIDC_AUTHORIZE_URL, OIDC_TOKEN_URL and OIDC_USERDATA_URL; a certificate of an authority "
            "of your own needs that authority's certificate in secrets/oidc_ca_certificate"
        ) from error
    named = str(published.get("issuer", issuer)) if isinstance(published, dict) else None
    if named is None or named.rstrip("/") != issuer.rstrip("/"):
        raise ProviderUnreachable(
            f"OIDC_ISSUER {issuer} calls itself {named}; set OIDC_ISSUER to the address by which browsers "
            "and this machine both reach it, as the provider itself names it"
        )
    return published
