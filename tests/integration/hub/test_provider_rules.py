"""What of a provider's answer is believed, where the provider of test_provider.py never says such a thing."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from slipway_hub.oidc import ProviderAuthenticator
from slipway_hub.oidc_discovery import ProviderUnreachable, find
from tornado.web import HTTPError


@pytest.fixture
def authenticator() -> ProviderAuthenticator:
    return ProviderAuthenticator(
        username_claim="email", manage_groups=True, auth_state_groups_key="oauth_user.groups"
    )


@pytest.mark.parametrize("vouched_for", [{}, {"email_verified": True}])
def test_an_address_is_a_name(authenticator, vouched_for):
    assert (
        authenticator.user_info_to_username({"email": "ann@example.org", **vouched_for}) == "ann@example.org"
    )


def test_an_address_that_the_provider_does_not_vouch_for_is_none(authenticator):
    with pytest.raises(HTTPError, match="not verified"):
        authenticator.user_info_to_username({"email": "ann@example.org", "email_verified": False})


def test_a_missing_name_is_told_with_what_there_is(authenticator):
    with pytest.raises(HTTPError, match=r"no email.*it has name, sub"):
        authenticator.user_info_to_username({"sub": "1", "name": "Ann"})


@pytest.mark.parametrize(
    ("said", "understood"),
    [(["a", "b"], {"a", "b"}), ("admins", {"admins"}), ([], set()), (None, set()), (7, set())],
)
def test_groups_are_a_list_or_one_word(authenticator, said, understood):
    told = authenticator.get_user_groups({"oauth_user": {"sub": "1", "groups": said}})
    assert asyncio.run(told) == understood


class Publisher(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(self.server.published).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publisher() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    url = f"http://127.0.0.1:{server.server_port}"
    server.published = {
        "issuer": url,
        "authorization_endpoint": f"{url}/a",
        "token_endpoint": f"{url}/t",
        "userinfo_endpoint": f"{url}/u",
    }
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def settings(issuer: str | None, **others: str) -> SimpleNamespace:
    urls = {f"oidc_{name}_url": None for name in ("authorize", "token", "userdata")}
    return SimpleNamespace(**{"oidc_issuer": issuer, "oidc_logout": "hub", **urls, **others})


@pytest.mark.parametrize(
    ("methods", "in_a_header"),
    [(None, True), (["client_secret_basic"], True), (["client_secret_basic", "client_secret_post"], False)],
)
def test_the_secret_is_sent_as_the_provider_takes_it(publisher, methods, in_a_header):
    if methods:
        publisher.published["token_endpoint_auth_methods_supported"] = methods
    assert find(settings(publisher.published["issuer"])).basic_auth is in_a_header


def test_what_is_set_is_stronger_than_what_is_published(publisher):
    found = find(settings(publisher.published["issuer"], oidc_token_url="https://else.example.org/t"))
    assert found.endpoints.token == "https://else.example.org/t"
    assert found.endpoints.authorize == publisher.published["authorization_endpoint"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"issuer": "https://else.example.org"}, "calls itself https://else.example.org"),
        ({"token_endpoint": None}, "does not publish all its endpoints"),
    ],
)
def test_what_is_wrong_with_the_provider_is_named(publisher, change, told):
    issuer = publisher.published["issuer"]
    publisher.published.update(change)
    with pytest.raises(ProviderUnreachable, match=told):
        find(settings(issuer))


def test_a_logout_that_the_provider_does_not_offer_is_named(publisher):
    with pytest.raises(ProviderUnreachable, match="OIDC_LOGOUT"):
        find(settings(publisher.published["issuer"], oidc_logout="provider"))
