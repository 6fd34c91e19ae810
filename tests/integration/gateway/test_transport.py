"""HTTPS, other proxies before this one, websockets, and clients that take for ever."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.gateway.conftest import Gateway, adapted, authority, read_all
from tests.support.processes import Processes, eventually

UPGRADE = (
    b"GET /user/ann/api/kernels/1/channels HTTP/1.1\r\nHost: slipway.test\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Visitor(httpx.Client):
    """Somebody whose machine knows the authority and finds the site."""

    def __init__(self, site: Gateway) -> None:
        self.trust = ssl.create_default_context(cafile=authority(site))
        super().__init__(
            verify=self.trust,
            base_url=f"https://127.0.0.1:{site.https_port}",
            headers={"Host": "slipway.test", "Authorization": "Bearer ann"},
        )

    def send(self, request: httpx.Request, **options: object) -> httpx.Response:
        request.extensions["sni_hostname"] = "slipway.test"
        return super().send(request, **options)

    def is_received(self) -> bool:
        """The authority is made first, and the site's certificate after it."""
        try:
            return self.get("/gateway/health").status_code == 200
        except httpx.ConnectError:
            return False


@pytest.fixture(scope="module")
def visitor(site) -> Iterator[Visitor]:
    with Visitor(site) as visitor:
        assert eventually(visitor.is_received, 20), "the site's own certificate was not there in time"
        yield visitor


def test_the_sites_certificate_is_of_the_authority_that_its_folder_names(visitor):
    answer = visitor.get("/mlflow/")
    assert answer.json()["by"] == "mlflow"
    assert answer.json()["x-forwarded-proto"] == "https"


def test_browsers_are_told_to_come_by_https_alone(visitor):
    answer = visitor.get("/")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "alt-svc" not in answer.headers


def test_http_leads_to_https_at_the_address_that_people_type(site):
    answer = site.get("/mlflow/?a=1", Host="slipway.test")
    assert (answer.status_code, answer.headers["location"]) == (308, "https://slipway.test:8443/mlflow/?a=1")


def test_http_2_is_spoken_and_old_versions_of_tls_are_not(site, visitor):
    visitor.trust.set_alpn_protocols(["h2", "http/1.1"])
    with connected(site.https_port, visitor.trust) as connection:
        assert connection.selected_alpn_protocol() == "h2"
    visitor.trust.set_alpn_protocols(["http/1.1"])
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(authority(site))
    with pytest.warns(DeprecationWarning):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError):
        connected(site.https_port, old).close()


def connected(port: int, trust: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=20)
    return trust.wrap_socket(plain, server_hostname="slipway.test")


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """What comes, in however many parts."""
    read = b""
    while not read.endswith(end) and (part := connection.recv(4096)):
        read += part
    return read


def test_a_websocket_goes_through_https(site, visitor):
    with connected(site.https_port, visitor.trust) as connection:
        connection.sendall(UPGRADE)
        assert b" 101 " in read_until(connection, b"\r\n\r\n")
        connection.sendall(b"a message")
        assert read_until(connection, b"message") == b"a message"


def test_cookies_of_notebook_servers_are_for_https_alone(site, visitor):
    by_https = visitor.get("/user/ann/cookies").headers.get_list("set-cookie")
    assert by_https == [
        "_xsrf=1|2; Path=/user/ann/; Secure; SameSite=Lax",
        "jupyterhub-user-ann=3; HttpOnly; Path=/user/ann/; Secure",
    ]
    by_http = site.get("/user/ann/cookies", at=site.notebooks_port).headers.get_list("set-cookie")
    assert by_http[0] == "_xsrf=1|2; Path=/user/ann/"


def test_notebooks_still_come_by_their_own_door(site):
    answer = site.get("/mlflow/", at=site.notebooks_port, Authorization="Bearer ann")
    assert answer.json()["by"] == "mlflow"
    assert "strict-transport-security" not in answer.headers


@pytest.mark.parametrize(("choice", "issuer"), [("public", ()), ("internal", ("internal",)), ("files", ())])
def test_each_choice_of_certificates_serves_the_same_routes(choice, issuer):
    config = adapted(
        {"SITE_ADDRESS": "slipway.test", "SITE_TLS": choice, "PUBLIC_URL": "https://slipway.test"}
    )
    listens = [server["listen"] for server in config["apps"]["http"]["servers"].values()]
    assert listens == [[":443"], [":80"], [":8081"]]
    policies = config["apps"].get("tls", {}).get("automation", {}).get("policies", [])
    named = {issuer["module"] for policy in policies for issuer in policy.get("issuers", ())}
    assert named == set(issuer)
    loaded = config["apps"].get("tls", {}).get("certificates", {}).get("load_files", [])
    assert [Path(one["key"]).name for one in loaded] == (
        ["site_certificate_key"] if choice == "files" else []
    )


def test_a_choice_that_there_is_not_is_named():
    with pytest.raises(AssertionError, match="SITE_TLS=publc"):
        adapted({"SITE_ADDRESS": "slipway.test", "SITE_TLS": "publc"})


@pytest.fixture
def start(tmp_path) -> Iterator:
    processes = Processes(tmp_path)
    yield lambda **options: Gateway(tmp_path, processes, **options)
    processes.stop_all()


def test_a_proxy_before_it_is_believed_when_it_is_named(start):
    gateway = start(TRUSTED_PROXIES="10.0.0.0/8 127.0.0.1")
    said = {"X_Forwarded_For": "10.9.8.7, 198.51.100.7, 10.0.0.2", "X_Forwarded_Proto": "https"}
    answer = gateway.get("/hub/home", **said)
    assert answer.json()["x-forwarded-for"].startswith("198.51.100.7"), "the last that no proxy of ours is"
    assert answer.json()["x-forwarded-proto"] == "https"


def test_who_says_nothing_is_not_waited_for(start):
    gateway = start(patience=1)
    for begun in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
            connection.sendall(begun)
            began = time.monotonic()
            read_all(connection)
            assert time.monotonic() - began < 5


def test_who_is_only_slow_is(start):
    """A long upload, a prediction that takes its time, a notebook that is silent for a while."""
    gateway = start(patience=1)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        head = "PUT /user/ann/upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(8):
            time.sleep(0.4)
            connection.sendall(b"x")
        assert b'"received": 8' in read_all(connection)
    answer = httpx.post(
        f"http://127.0.0.1:{gateway.port}/serving/slow",
        json={"inputs": []},
        headers={"Authorization": "Bearer slipway_key"},
        timeout=20,
    )
    assert answer.status_code == 200
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=20) as connection:
        connection.sendall(UPGRADE)
        assert b" 101 " in read_until(connection, b"\r\n\r\n")
        time.sleep(3)
        connection.sendall(b"still here")
        assert read_until(connection, b"here") == b"still here"


def test_headers_have_a_limit(gateway):
    answer = gateway.raw("/", f"X-Long: {'x' * 200_000}")
    assert answer.status_code == 431
