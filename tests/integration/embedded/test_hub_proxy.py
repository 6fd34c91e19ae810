"""The hub's proxy without Node: everything that a notebook needs to pass through it."""

from __future__ import annotations

import hashlib
import signal
from urllib.parse import quote

import httpx

from tests.integration.embedded.conftest import WIRE, Kernel, as_file
from tests.support.processes import eventually

MIB = 2**20
TWENTY_MB = 20_000_000


def test_a_cell_is_executed_through_a_kernels_websocket(kernel):
    assert kernel.socket.selected_subprotocol == WIRE
    reply = kernel.execute("print(6 * 7)")
    assert (reply["status"], reply["printed"]) == ("ok", "42\n")


def test_a_message_of_twenty_megabytes_goes_each_way(kernel):
    reply = kernel.execute(f"text = '{'x' * TWENTY_MB}'\nprint(len(text))", back="text")
    assert reply["printed"] == f"{TWENTY_MB}\n"
    assert len(reply["user_expressions"]["back"]["data"]["text/plain"]) == TWENTY_MB + 2


def test_big_files_go_up_and_down_without_the_proxy_keeping_them(platform, content):
    before = platform.peak_memory("proxy", anew=True)
    stored = platform.server("api/contents/big.bin", "PUT", content=as_file(content))
    assert stored.status_code == 201, stored.text[:300]
    digest, size = hashlib.sha256(), 0
    with platform.http.stream("GET", f"/user/{platform.user}/files/big.bin") as answer:
        assert answer.status_code == 200
        for part in answer.iter_raw():
            digest.update(part)
            size += len(part)
    assert (size, digest.digest()) == (len(content), hashlib.sha256(content).digest())
    grown = platform.peak_memory("proxy") - before
    print(f"the proxy: {before} MiB before, {grown} MiB more for it at most")
    assert grown < 50


def test_names_of_files_pass_as_they_are(platform):
    for name in ("a b.txt", "50%.txt", "grün#1.txt", "a+b&c=d?.txt", "%2F.txt"):
        told = {"type": "file", "format": "text", "content": name}
        assert platform.server(f"api/contents/{quote(name)}", "PUT", json=told).status_code == 201, name
        assert platform.server(f"api/contents/{quote(name)}").json()["content"] == name


def test_the_progress_of_a_start_arrives_as_it_happens(platform):
    with platform.http.stream("GET", f"/hub/api/users/{platform.user}/server/progress") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert '"ready": true' in next(answer.iter_text())


def test_its_api_takes_orders_from_nobody_without_the_token(platform):
    address = f"http://localhost:{platform.port['proxy_api']}/api"
    for path in ("/routes", "/overview", "/http/routers", "/rawdata"):
        assert httpx.get(address + path).status_code in (401, 403, 404), path


def test_a_killed_proxy_comes_back_with_all_its_routes(platform, kernel):
    proxy = platform.running["proxy"]
    proxy.send_signal(signal.SIGKILL)
    proxy.wait()
    platform.start("proxy")
    assert eventually(lambda: answers(platform), 45), platform.processes.log("proxy")
    assert Kernel(platform).execute("print('again')")["printed"] == "again\n"


def answers(platform) -> bool:
    try:
        return platform.server("api/status").status_code == 200
    except httpx.HTTPError:
        return False
