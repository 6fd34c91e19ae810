"""Logging in at a company's OpenID Connect provider: a small one, over real HTTP."""

from __future__ import annotations

import http.server
import json
import secrets
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.integration.hub.conftest import PUBLIC_URL, Browser, Platform

PEOPLE = {
    "Grace@example.org": ["data-science", "platform-admins"],
    "ada@example.org": ["data-science"],
    "eve@example.org": ["sales"],
}
CLIENT = ("slipway", "the client's secret")


class Provider(http.server.ThreadingHTTPServer):
    """Says who is asked for by `who`; codes and tokens are good for what they were made for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.who, self.codes, self.tokens = "", {}, {}


class Answer(http.server.BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        provider = self.server
        if url.path == "/.well-known/openid-configuration":
            self.json(
                {
                    "issuer": provider.url,
                    "authorization_endpoint": f"{provider.url}/authorize",
                    "token_endpoint": f"{provider.url}/token",
                    "userinfo_endpoint": f"{provider.url}/userinfo",
                }
            )
        elif url.path == "/authorize":
            code = secrets.token_urlsafe()
            provider.codes[code] = (provider.who, query["redirect_uri"])
            self.send_response(302)
            back = urlencode({"code": code, "state": query["state"]})
            self.send_header("Location", f"{query['redirect_uri']}?{back}")
            self.end_headers()
        elif url.path == "/userinfo":
            who = provider.tokens.get(self.headers["Authorization"].removeprefix("Bearer "))
            self.json({"sub": who, "email": who, "groups": PEOPLE[who]} if who else {}, 200 if who else 401)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        who, redirect_uri = self.server.codes.pop(form.get("code"), (None, None))
        known = (form.get("client_id"), form.get("client_secret")) == CLIENT
        if not known or who is None or form.get("redirect_uri") != redirect_uri:
            self.json({"error": "invalid_grant"}, 400)
            return
        token = secrets.token_urlsafe()
        self.server.tokens[token] = who
        self.json({"access_token": token, "token_type": "Bearer", "expires_in": 300})

    def json(self, body: dict, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider()
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    yield provider
    provider.shutdown()
    provider.server_close()


@pytest.fixture(scope="module")
def company(provider, proxy_packages, tmp_path_factory) -> Iterator[Platform]:
    company = Platform(
        tmp_path_factory.mktemp("company"),
        OIDC_CLIENT_ID=CLIENT[0],
        OIDC_ISSUER=provider.url,
        OIDC_USERNAME_CLAIM="email",
        OIDC_ALLOWED_GROUPS="data-science",
        OIDC_ADMIN_GROUPS="platform-admins",
    )
    (company.secrets_dir / "oidc_client_secret").write_text(CLIENT[1])
    (company.secrets_dir / "hub_admin_password").unlink()
    try:
        company.start(proxy_packages)
        yield company
    finally:
        company.stop()


@pytest.fixture
def browser(company) -> Iterator[Browser]:
    with company.browser() as browser:
        yield browser


def come_in(browser: Browser, provider: Provider, who: str) -> httpx.Response:
    """Follows the button `Sign in with …` to its end; the provider answers that this is `who`."""
    provider.who = who
    answer = browser.get("/hub/oauth_login", params={"next": "/mlflow/"}, follow_redirects=False)
    asked = httpx.get(answer.headers["location"])
    assert asked.headers["location"].startswith(f"{PUBLIC_URL}/hub/oauth_callback?")
    return browser.get(asked.headers["location"])


def test_the_login_page_leads_to_the_provider_and_has_no_sign_up(browser):
    page = browser.get("/hub/login").text
    assert "your company account" in page
    assert "Sign up" not in page
    assert browser.get("/hub/signup").status_code == 404


@pytest.mark.parametrize(
    ("who", "name", "admin"),
    [("ada@example.org", "ada@example.org", "0"), ("Grace@example.org", "grace@example.org", "1")],
)
def test_a_colleague_comes_in_as_who_the_provider_says(browser, provider, who, name, admin):
    answer = come_in(browser, provider, who)
    assert answer.url.path == "/mlflow/"
    assert answer.json()["x-remote-user"] == name
    assert answer.json()["x-remote-admin"] == admin
    assert answer.json()["x-remote-groups"] == ",".join(sorted(PEOPLE[who]))


def test_somebody_of_no_allowed_group_stays_outside(browser, provider):
    assert come_in(browser, provider, "eve@example.org").status_code == 403
    assert browser.get("/auth/whoami").status_code == 401


def test_there_is_no_one_time_password_to_show(company):
    told = company.run("slipway_hub.admin_password")
    assert (told.returncode, told.stdout) == (3, "")
