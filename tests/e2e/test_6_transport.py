"""A site over HTTPS, with certificates of Caddy's own authority: all that a browser does works through it,
and nothing that a browser keeps leaves it in the clear."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, BrowserContext, Error, Page, Response, expect

from tests.e2e import people
from tests.support.browser import another
from tests.support.installation import Stack
from tests.support.processes import free_port

NAME = "slipway.test"
ROOT = "/data/caddy/pki/authorities/local/root.crt"


class Site(Stack):
    def __init__(self) -> None:
        self.port = free_port()
        address = f"https://{NAME}:{self.port}"
        super().__init__(
            "slipway-e2e-site",
            SITE_ADDRESS=NAME,
            SITE_TLS="internal",
            PUBLIC_URL=address,
            HTTPS_PORT=str(self.port),
        )
        self.address = address

    def trust(self, folder: Path) -> ssl.SSLContext:
        """What a visitor's machine is given: the root certificate, out of the gateway's volume."""
        root = folder / "root.crt"
        root.write_text(self.compose("exec", "-T", "gateway", "cat", ROOT).stdout)
        return ssl.create_default_context(cafile=root)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    site = Site()
    site.slipway("down", "--volumes", "--yes", check=False)
    try:
        site.slipway("up")
        yield site
    finally:
        site.slipway("down", "--volumes", "--yes", check=False)


@pytest.fixture(scope="module")
def trust(site, tmp_path_factory) -> ssl.SSLContext:
    return site.trust(tmp_path_factory.mktemp("trust"))


def connected(site: Site, trust: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", site.port), timeout=20)
    return trust.wrap_socket(plain, server_hostname=NAME)


def get(site: Site, trust: ssl.SSLContext, path: str, **headers: str) -> httpx.Response:
    """By a client that finds the site at this machine and checks its certificate."""
    with httpx.Client(verify=trust, timeout=30) as client:
        return client.get(
            f"https://127.0.0.1:{site.port}{path}",
            headers={"Host": f"{NAME}:{site.port}", **headers},
            extensions={"sni_hostname": NAME},
        )


@pytest.fixture(scope="module")
def visitor(site, trust, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that finds the site, and takes the certificate that was checked here and no other."""
    with connected(site, trust) as connection:
        certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True))
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    checked = base64.b64encode(hashlib.sha256(key).digest()).decode()
    flags = (
        f"--host-resolver-rules=MAP {NAME} 127.0.0.1",
        f"--ignore-certificate-errors-spki-list={checked}",
    )
    with another(chromium, *flags) as browser:
        context = browser.new_context(base_url=site.address, viewport={"width": 1280, "height": 860})
        context.set_default_timeout(30_000)
        context.add_init_script("localStorage['mlflow.assistant.panelOpen_v1'] = 'false';")
        yield context


@pytest.fixture(scope="module")
def page(visitor) -> Page:
    return visitor.new_page()


def opened(page: Page, path: str) -> Response:
    """The page at `path`. A browser drops what is under way when its machine gets or loses a network, as with
    each notebook server."""
    for _ in range(5):
        with contextlib.suppress(Error):
            return page.goto(path)
        page.wait_for_timeout(2000)
    return page.goto(path)


def test_the_certificate_is_of_the_sites_own_authority(site, trust):
    answer = get(site, trust, "/gateway/health")
    assert answer.status_code == 200
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        get(site, ssl.create_default_context(), "/gateway/health")


def test_http_leads_to_https_and_browsers_remember_that(site, trust):
    plain = httpx.get(
        f"http://127.0.0.1:{site.options['HTTP_PORT']}/mlflow/?a=1", headers={"Host": NAME}, timeout=30
    )
    assert (plain.status_code, plain.headers["location"]) == (308, f"{site.address}/mlflow/?a=1")
    assert get(site, trust, "/").headers["strict-transport-security"] == "max-age=31536000"


def test_http_2_is_spoken_and_http_3_is_not_promised(site, trust):
    trust.set_alpn_protocols(["h2", "http/1.1"])
    with connected(site, trust) as connection:
        assert connection.selected_alpn_protocol() == "h2"
    trust.set_alpn_protocols(["http/1.1"])
    assert "alt-svc" not in get(site, trust, "/").headers


def test_a_login_from_mlflow_ends_at_mlflow(site, page):
    name, password = site.administrator()
    opened(page, "/mlflow/")
    page.fill("#username_input", name)
    page.fill("#password_input", password)
    with page.expect_navigation():
        page.click("#login_submit")
    opened(page, "/mlflow/")
    expect(page.locator("body")).to_contain_text("Experiments")
    protocol = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
    assert protocol == "h2"


@pytest.mark.parametrize("path", ["/", "/hub/home", "/mlflow/", "/mlflow/#/experiments/0", "/serving/docs"])
def test_pages_work_under_their_policies(visitor, path):
    heard = []
    page = visitor.new_page()
    page.on("console", lambda one: "Content Security Policy" in one.text and heard.append(one.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    answer = opened(page, path)
    page.wait_for_timeout(2000)
    assert answer.status == 200
    assert "frame-ancestors" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert heard == []
    page.close()


def test_a_cell_runs_over_an_encrypted_websocket(site, page):
    sockets = []
    page.on("websocket", lambda one: sockets.append(one.url))
    name = site.administrator()[0]
    people.start_server(page, name)
    opened(page, f"/user/{name}/lab?reset")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=people.STARTING)
    page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
    expect(page.locator("#jp-main-statusbar")).to_contain_text("| Idle", timeout=people.STARTING)
    page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell .cm-content").first.click()
    page.keyboard.type("6 * 7")
    people.run_all_cells(page)
    expect(page.locator(".jp-OutputArea-output").first).to_have_text(
        re.compile("42"), timeout=people.STARTING
    )
    assert [url for url in sockets if url.startswith(f"wss://{NAME}:") and "/channels" in url]


def test_every_cookie_is_for_https_and_this_site_alone(visitor, page):
    opened(page, "/mlflow/")
    cookies = visitor.cookies()
    assert {"slipway-session", "jupyterhub-session-id", "jupyterhub-hub-login"} <= {
        cookie["name"] for cookie in cookies
    }
    for cookie in cookies:
        assert cookie["secure"], cookie["name"]
        assert cookie["sameSite"] in ("Lax", "Strict"), cookie["name"]
        # JupyterLab's script reads the XSRF token, which opens nothing by itself.
        assert cookie["httpOnly"] or cookie["name"] == "_xsrf", cookie["name"]


def test_logging_out_leaves_nothing_behind(page):
    opened(page, "/auth/logout")
    assert opened(page, "/auth/whoami").status == 401
