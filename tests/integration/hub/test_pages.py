"""The pages of people in a real browser, behind the gateway's own configuration in a real Caddy."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.hub.conftest import ADMIN_PASSWORD, REPOSITORY, Platform
from tests.support.browser import chromium
from tests.support.processes import free_port, program

PASSWORD = "correct horse battery"
RESULTS = REPOSITORY / "tests/results"


@pytest.fixture(scope="module")
def platform(proxy_packages, tmp_path_factory) -> Iterator[Platform]:
    folder, port = tmp_path_factory.mktemp("hub-with-pages"), free_port()
    platform = Platform(folder, PUBLIC_URL=f"http://127.0.0.1:{port}", SIGNUPS_PER_HOUR="3")
    platform.url = platform.settings["PUBLIC_URL"]
    (platform.secrets_dir / "gateway_secret").write_text("the gateway's own, of this test\n")
    try:
        platform.start(proxy_packages)
        start_gateway(platform, folder, port)
        yield platform
    finally:
        platform.stop()


def start_gateway(platform: Platform, folder: Path, port: int) -> None:
    environment = {
        **platform.environment,
        "SITE_ADDRESS": f"http://:{port}",
        "NOTEBOOKS_ADDRESS": f"http://:{free_port()}",
        "GATEWAY_BIND": "127.0.0.1",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        **{f"{name.upper()}_UPSTREAM": f"127.0.0.1:{platform.ports[name]}" for name in ("proxy", "auth")},
    }
    config = str(REPOSITORY / "services/gateway/Caddyfile")
    gateway = platform.processes.start(
        "gateway",
        [program("caddy"), "run", "--config", config, "--adapter", "caddyfile"],
        environment=environment,
    )
    platform.processes.wait_for("gateway", gateway, f"{platform.url}/gateway/health", below=400)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def visitor(platform, browser) -> Iterator[Callable[[], Page]]:
    """Makes pages of somebody's own browser. Whatever a page does not like of its content is a failure."""
    complaints: list[str] = []

    def open_one() -> Page:
        page = browser.new_context(base_url=platform.url, viewport={"width": 1100, "height": 700}).new_page()
        page.on(
            "console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_one
    assert complaints == []


def picture(page: Page, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    page.screenshot(path=RESULTS / f"people-{name}.png", full_page=True)


def log_in(page: Page, name: str = "admin", password: str = ADMIN_PASSWORD) -> None:
    page.goto("/hub/login?next=/hub/home")
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    page.click("#login_submit")
    page.wait_for_url("**/hub/home")


def sign_up(page: Page, name: str, password: str, again: str | None = None) -> None:
    page.goto("/hub/signup")
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    page.fill("#password_confirmation_input", password if again is None else again)
    page.click("#signup_submit")


def test_a_person_is_invited_chooses_a_password_and_is_in(platform, visitor):
    admin, guest = visitor(), visitor()
    log_in(admin)
    admin.goto("/hub/authorize")
    admin.fill("#invite_input", "ann")
    admin.click("#invite_submit")
    link = admin.locator("#link_output").input_value()
    picture(admin, "invited")

    guest.goto(link)
    expect(guest.get_by_role("heading", name="Welcome, ann")).to_be_visible()
    guest.fill("#new_password_input", "short")
    guest.fill("#new_password_confirmation_input", "short")
    guest.click("#choose_submit")
    expect(guest.locator("#problem")).to_contain_text("at least 10")
    picture(guest, "choose-password")
    guest.fill("#new_password_input", PASSWORD)
    guest.fill("#new_password_confirmation_input", PASSWORD)
    guest.click("#choose_submit")
    guest.wait_for_url(f"{platform.url}/")
    assert guest.request.get("/auth/whoami").json()["user"] == "ann"

    guest.goto(link)
    expect(guest.locator("#problem")).to_contain_text("has been used")
    picture(guest, "used-link")

    token = link.partition("token=")[2]
    for log in ("hub", "proxy", "auth", "gateway"):
        assert token not in (platform.folder / f"{log}.log").read_text(), log


def test_the_page_of_accounts_does_what_its_buttons_say(visitor):
    admin, ben = visitor(), visitor()
    sign_up(ben, "ben", PASSWORD)
    expect(ben.locator("#signed-up")).to_contain_text("waits for an administrator")
    log_in(admin)
    admin.goto("/hub/authorize")
    row = admin.locator('tr[data-username="ben"]')
    expect(row).to_contain_text("waits for approval")
    picture(admin, "accounts")
    row.get_by_role("button", name="Approve").click()
    expect(row).to_contain_text("approved")
    log_in(ben, "ben", PASSWORD)

    row.get_by_role("button", name="Make administrator").click()
    expect(row).to_contain_text("administrator")
    ben.goto("/hub/authorize")
    expect(ben.locator("#accounts")).to_be_visible()
    picture(ben, "accounts-of-another-administrator")
    row.get_by_role("button", name="No administrator").click()
    expect(row.locator(".badge")).to_have_count(0)

    row.get_by_role("button", name="Reset password").click()
    expect(admin.locator("#link_output")).to_have_value(re.compile("choose-password"))
    ben.goto("/hub/home")
    assert "/hub/login" in ben.url

    row.get_by_text("Remove …").click()
    row.get_by_role("button", name="Yes, remove").click()
    expect(admin.locator("#removed")).to_contain_text("The account ben is gone")
    expect(row).to_have_count(0)

    admin.fill("#invite_input", "Ann Smith")
    admin.click("#invite_submit")
    expect(admin.locator("#problem")).to_contain_text("A user name starts with")
    picture(admin, "not-invited")


def test_signing_up_says_what_is_wrong_and_when_it_is_too_much(platform, visitor):
    page = visitor()
    sign_up(page, "carol", PASSWORD, "something else")
    expect(page.locator("#problem")).to_contain_text("differ")
    expect(page.locator("#username_input")).to_have_value("carol")
    picture(page, "sign-up-with-an-error")
    for _ in range(3):
        sign_up(page, "admin", PASSWORD)
    expect(page.locator("#problem")).to_contain_text("Too many sign-ups")
    expect(page.locator("#username_input")).to_have_value("admin")
    picture(page, "too-many-sign-ups")


def test_who_guesses_is_told_to_wait_and_the_page_stays(visitor):
    page = visitor()
    for _ in range(11):
        page.goto("/hub/login")
        page.fill("#username_input", "dora")
        page.fill("#password_input", "a guess")
        page.click("#login_submit")
    expect(page.locator(".login_error")).to_contain_text("Too many wrong passwords")
    expect(page.locator("#username_input")).to_have_value("dora")
    picture(page, "too-many-wrong-passwords")


def test_the_hubs_own_pages_work_within_what_they_may_load(visitor):
    page = visitor()
    log_in(page)
    page.goto("/hub/admin")
    expect(page.get_by_role("link", name="Manage Groups")).to_be_visible()
    page.goto("/hub/token")
    page.fill("#token-note", "of a test")
    page.get_by_role("button", name=re.compile("Request new API token", re.I)).click()
    expect(page.locator("#token-result")).to_be_visible()
    page.goto("/hub/spawn")
    page.wait_for_url("**/user/admin/**", timeout=30_000)


def test_the_gateway_tells_the_visitors_address_and_not_what_they_say(platform):
    """The limit of one address was reached above, by 127.0.0.1."""
    said = {"X-Forwarded-For": "203.0.113.5", "X-Real-Ip": "203.0.113.5", "Forwarded": "for=203.0.113.5"}
    with httpx.Client(base_url=platform.url, headers=said) as http:
        xsrf = re.search(r'name="_xsrf" value="([^"]+)"', http.get("/hub/signup").text)[1]
        form = {"username": "eve", "signup_password": PASSWORD, "signup_password_confirmation": PASSWORD}
        assert http.post("/hub/signup", data={"_xsrf": xsrf, **form}).status_code == 429
