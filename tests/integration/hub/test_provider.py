"""Logging in at a company's OpenID Connect provider, a real one, in a browser. Hub, proxy, door-keeper and
gateway are what they are in a platform."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.integration.gateway.conftest import Gateway
from tests.integration.hub.conftest import REPOSITORY, Platform
from tests.support.browser import chromium
from tests.support.provider import CLIENT, CLIENT_SECRET, Person, Provider

HUB_CONFIG = REPOSITORY / "jupyterhub/hub/jupyterhub_config.py"

ADA = Person("ada", ("data-science",))
GRACE = Person("Grace", ("data-science", "platform-admins"))
EVE = Person("eve", ("sales",))
IDA = Person("ida")
SPACED = Person("spaced", ("data-science",), display_name="Spaced Out")
PEOPLE = [ADA, GRACE, EVE, IDA, SPACED]

pytestmark = pytest.mark.browser


class Company:
    """A platform whose people are the provider's. `options` are variables of the hub's."""

    def __init__(self, folder, **options: str) -> None:
        (folder / "platform").mkdir()
        self.platform = Platform(folder / "platform")
        self.gateway = Gateway(
            folder,
            self.platform.processes,
            PROXY_UPSTREAM=f"127.0.0.1:{self.platform.ports['proxy']}",
            AUTH_UPSTREAM=f"127.0.0.1:{self.platform.ports['auth']}",
        )
        self.url = f"http://localhost:{self.gateway.port}"
        self.provider = Provider(folder, self.url, PEOPLE)
        self.platform.settings.update(
            PUBLIC_URL=self.url,
            OIDC_CLIENT_ID=CLIENT,
            OIDC_ISSUER=self.provider.url,
            OIDC_SCOPES="openid,profile,email,groups",
            OIDC_ALLOWED_GROUPS="data-science",
            OIDC_ADMIN_GROUPS="platform-admins",
            **options,
        )
        self.says_secret(CLIENT_SECRET)
        (self.platform.secrets_dir / "hub_admin_password").unlink()

    def says_secret(self, secret: str) -> None:
        (self.platform.secrets_dir / "oidc_client_secret").write_text(f"{secret}\n")

    def start(self, proxy_packages) -> None:
        self.provider.start()
        self.platform.start(proxy_packages)

    def stop(self) -> None:
        self.platform.stop()
        self.provider.stop()


@pytest.fixture(scope="module")
def company(proxy_packages, tmp_path_factory) -> Iterator[Company]:
    company = Company(tmp_path_factory.mktemp("company"), OIDC_LOGOUT="provider")
    try:
        company.start(proxy_packages)
        yield company
    finally:
        company.stop()


@pytest.fixture(scope="module")
def started_browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(started_browser, company) -> Iterator[BrowserContext]:
    context = started_browser.new_context(base_url=company.url)
    context.set_default_timeout(20_000)
    yield context
    context.close()


@pytest.fixture
def page(context) -> Page:
    return context.new_page()


def come_in(page: Page, who: Person, to: str = "/mlflow/") -> None:
    """From a page of the platform to the provider's login, and to wherever that leads."""
    page.goto(to)
    here = "/".join(page.url.split("/")[:3])
    page.get_by_role("button", name="Sign in with your company account").click()
    page.fill("#login", who.name)
    page.press("#login", "Enter")
    page.fill("#password", who.password)
    page.press("#password", "Enter")
    page.wait_for_url(re.compile(rf"^{here}/"))


def reached(page: Page) -> dict[str, str]:
    """What MLflow, for which an echo stands here, was told."""
    return json.loads(page.inner_text("body"))


def test_the_login_page_leads_to_the_provider_and_has_no_sign_up(page):
    page.goto("/hub/login")
    expect(page.locator("body")).to_contain_text("your company account")
    expect(page.locator("body")).not_to_contain_text("Sign up")
    assert page.goto("/hub/signup").status == 404


@pytest.mark.parametrize(
    ("who", "name", "admin"), [(ADA, "ada", "0"), (GRACE, "grace", "1")], ids=["member", "administrator"]
)
def test_a_colleague_comes_in_as_who_the_provider_says_at_the_page_asked_for(company, page, who, name, admin):
    come_in(page, who, "/mlflow/?asked=1")
    assert page.url == f"{company.url}/mlflow/?asked=1"
    told = reached(page)
    assert told["x-remote-user"] == name
    assert told["x-remote-admin"] == admin
    assert told["x-remote-groups"].split(",") == sorted(who.groups)


def test_the_login_is_proved_with_pkce_and_a_state(company, page):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    come_in(page, ADA)
    (authorize,) = [url for url in asked if "/oauth/authorize?" in url and "code_challenge" in url][:1]
    assert "code_challenge_method=S256" in authorize
    assert "state=" in authorize
    assert company.provider.url in authorize


@pytest.mark.parametrize("who", [EVE, IDA], ids=["another group", "no group"])
def test_somebody_of_no_allowed_group_is_told_so(company, page, who):
    come_in(page, who)
    expect(page.locator("body")).to_contain_text("none of the groups that are let in (data-science)")
    assert page.goto("/auth/whoami").status == 401


def test_a_name_that_no_name_here_can_be_is_told_so(page):
    come_in(page, SPACED)
    expect(page.locator("body")).to_contain_text("preferred_username, which is the name here, has characters")
    assert page.goto("/auth/whoami").status == 401


def test_who_leaves_the_administrators_is_none_after_the_next_login(company, started_browser):
    def groups_and_admin() -> tuple[str, str]:
        context = started_browser.new_context(base_url=company.url)
        page = context.new_page()
        come_in(page, ADA)
        told = reached(page)
        context.close()
        return told["x-remote-groups"], told["x-remote-admin"]

    company.provider.knows(ADA._replace(groups=("data-science", "platform-admins")))
    assert groups_and_admin() == ("data-science,platform-admins", "1")
    company.provider.knows(ADA)
    assert groups_and_admin() == ("data-science", "0")


def test_logging_out_ends_every_session_the_providers_too(company, page):
    come_in(page, ADA)
    with page.expect_navigation(url=f"{company.url}/"):
        page.goto("/auth/logout", wait_until="commit")
    assert page.goto("/auth/whoami").status == 401
    page.goto("/mlflow/")
    page.get_by_role("button", name="Sign in with your company account").click()
    expect(page.locator("#login")).to_be_visible()


def test_a_login_that_somebody_else_began_is_not_ended_here(page):
    answer = page.goto("/hub/oauth_callback?code=stolen&state=of-another-browser")
    assert answer.status == 400


def test_a_refusal_at_the_provider_is_shown(page):
    answer = page.goto("/hub/oauth_callback?error=access_denied&error_description=Not+today")
    assert answer.status == 403
    expect(page.locator("body")).to_contain_text("did not let you in: Not today")


def test_a_secret_that_the_provider_does_not_know_is_named(company, page):
    company.provider.knows(client_secret="another")
    try:
        come_in(page, ADA)
        expect(page.locator("body")).to_contain_text("oidc_client_secret")
    finally:
        company.provider.knows()
    assert CLIENT_SECRET not in company.platform.processes.log("hub")


def test_a_provider_that_is_away_is_named_and_who_is_inside_stays(company, context, page):
    come_in(page, ADA)
    company.provider.processes.stop(company.provider.process)
    try:
        assert page.goto("/mlflow/").status == 200
        # What a login needs that was under way: the cookie of its beginning, and a code.
        context.request.get("/hub/oauth_login", max_redirects=0)
        begun = context.request.get("/hub/oauth_login", max_redirects=0).headers["location"]
        (state,) = parse_qs(urlsplit(begun).query)["state"]
        answer = page.goto(f"/hub/oauth_callback?{urlencode({'code': 'x', 'state': state})}")
        assert answer.status == 503
        expect(page.locator("body")).to_contain_text("The provider does not answer just now")
    finally:
        company.provider.start()


def test_a_provider_that_is_away_when_the_hub_starts_is_named(company):
    away = {"OIDC_ISSUER": "http://localhost:9"}
    told = company.platform.run("jupyterhub", "--config", str(HUB_CONFIG), **away)
    assert told.returncode == 1
    assert "OIDC_ISSUER http://localhost:9 did not answer" in told.stderr
    assert "Traceback" not in told.stderr


def test_an_issuer_by_another_name_than_its_own_is_named(company):
    elsewhere = {"OIDC_ISSUER": company.provider.url.replace("localhost", "127.0.0.1")}
    told = company.platform.run("jupyterhub", "--config", str(HUB_CONFIG), **elsewhere)
    assert told.returncode == 1
    assert f"calls itself {company.provider.url}" in told.stderr


def test_there_is_no_one_time_password_to_show(company):
    told = company.platform.run("slipway_hub.admin_password")
    assert (told.returncode, told.stdout) == (3, "")
