"""What predictions outlive: everything else stopped, a killed process, no memory, a full disk, slow clients
and a model that hangs. Never a wrong answer, and back by itself.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.served import NAME, ODD, POINT, Served, wrong
from tests.support.installation import Stack
from tests.support.load import Load, percentile
from tests.support.processes import eventually

BACK = 60
"""Seconds until a serving process that was killed answers again, on a busy machine."""
ALL_BACK = 180
"""Seconds until the others do."""
PATIENCE = 29
"""Seconds that the gateway waits for a replica, and a little less."""
OTHERS = ("mlflow", "postgres", "minio", "hub")
SMALL_CACHE = """
services:
  serving:
    tmpfs: ["/tmp:mode=1777", "/var/cache/serving:size=24m,uid=1000,gid=1000,mode=0700"]
    volumes: !override ["secrets-serving:/run/secrets:ro"]
"""
"""The cache on a file system of its own that a test can fill."""


@pytest.fixture(autouse=True)
def in_order(served: Served):
    """Each test begins with version 1 in Production and answering."""
    served.move("1")
    assert served.becomes("1", BACK), served.described()


def test_predictions_outlive_everything_else_and_a_restart_without_it(served: Served, stack: Stack):
    before = served.settled()
    others = stack.compose("ps", "--quiet", *OTHERS).stdout.split()
    with served.load() as load:
        stack.docker("stop", *others)
        time.sleep(2)
        told = served.application.get("/serving/ready").json()
        assert told["registry"]["reachable"] is False and told["registry"]["error"]
        assert told["models"][NAME]["version"] == "1"
        # A new replica has nothing but the cache.
        stack.slipway("restart", "serving")
        time.sleep(2)
    sent = len(load.answers)
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)
    stack.docker("start", *others)
    assert eventually(
        lambda: served.application.get("/serving/ready").json()["registry"]["reachable"], ALL_BACK
    )
    assert eventually(lambda: served.counted() == before + sent, BACK), served.counted() - before - sent
    served.move("2")
    assert served.becomes("2", BACK), "the registry is followed again"


def test_a_killed_process_is_back_by_itself_and_loses_what_it_had_alone(served: Served, stack: Stack):
    before = served.settled()
    with served.load() as load:
        time.sleep(1)
        kill(stack)
        killed = time.monotonic()
        assert eventually(lambda: any(one.status == 200 and one.sent > killed for one in load.answers), BACK)
        time.sleep(2)
    only_what_it_had_is_lost(load)
    assert not wrong(load.answers)
    answered = len(load.answers) - len(load.failed())
    assert eventually(lambda: before + answered <= served.counted() <= before + len(load.answers), 20)


def only_what_it_had_is_lost(load: Load) -> None:
    """One request of each client may have been in the process; those sent later wait at the gateway, as long
    as that does."""
    at_once = [one for one in load.failed() if one.seconds < PATIENCE]
    assert len(at_once) <= load.clients, load.summary()


def kill(stack: Stack) -> None:
    """The server itself with SIGKILL, as the kernel does it; tini is its parent."""
    stack.compose("exec", "-T", "serving", "sh", "-c", "kill -9 $(cat /proc/1/task/1/children)")


def test_a_request_that_eats_the_memory_ends_no_more_than_the_process_it_was_in(served: Served, stack: Stack):
    assert served.asks(ODD, {"inputs": [{"do": "work"}]}).json()["predictions"] == ["work was done"]
    with served.load() as load:
        time.sleep(1)
        eaten = served.asks(ODD, {"inputs": [{"do": "eat"}]})
        assert eaten.status_code >= 500
        over = time.monotonic()
        assert eventually(lambda: any(one.status == 200 and one.sent > over for one in load.answers), BACK)
        time.sleep(2)
    only_what_it_had_is_lost(load)
    assert not wrong(load.answers)
    assert served.asks(ODD, {"inputs": [{"do": "work"}]}).json()["predictions"] == ["work was done"]


@pytest.fixture
def small_cache(stack: Stack, served: Served, tmp_path: Path) -> Iterator[None]:
    (tmp_path / "small-cache.yaml").write_text(SMALL_CACHE)
    anew = ("up", "--detach", "--no-deps", "--no-build", "serving")
    try:
        with composed_of(stack, tmp_path / "small-cache.yaml"):
            stack.compose(*anew)
            assert served.becomes("1", BACK), stack.compose("logs", "--tail=20", "serving").stdout
            yield
    finally:
        stack.compose(*anew)


@contextlib.contextmanager
def composed_of(stack: Stack, more: Path) -> Iterator[None]:
    """Compose reads one file more."""
    before = stack.environment.get("COMPOSE_FILE")
    here = before or dotenv_value(stack, "COMPOSE_FILE") or "compose.yaml"
    stack.environment["COMPOSE_FILE"] = f"{here}:{more}"
    try:
        yield
    finally:
        del stack.environment["COMPOSE_FILE"]
        if before is not None:
            stack.environment["COMPOSE_FILE"] = before


def dotenv_value(stack: Stack, name: str) -> str | None:
    dotenv = stack.checkout / ".env"
    lines = dotenv.read_text().splitlines() if dotenv.exists() else []
    return next((line.partition("=")[2] for line in lines if line.startswith(f"{name}=")), None)


def test_a_full_disk_keeps_the_old_version_and_says_so_until_there_is_room(
    served: Served, stack: Stack, small_cache
):
    fill = "dd if=/dev/zero of=/var/cache/serving/fill bs=4k 2>/dev/null; true"
    stack.compose("exec", "-T", "serving", "sh", "-c", fill)
    before = served.settled()
    with served.load() as load:
        served.move("4")
        assert eventually(lambda: served.described().get("failure"), 30), served.described()
        failure = served.described()["failure"]
        assert failure["version"] == "4" and "space" in failure["reason"].lower()
        assert served.live() == "1"
        stack.compose("exec", "-T", "serving", "rm", "/var/cache/serving/fill")
        assert served.becomes("4", BACK), served.described()
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)
    assert eventually(lambda: served.counted() == before + len(load.answers), 20)


def test_clients_that_send_a_byte_a_second_starve_no_other(served: Served):
    with served.load() as load:
        time.sleep(3)
    alone = percentile((one.seconds for one in load.answers), 99)
    with (
        served.person.application("slow", NAME) as other,
        Slow(served, other.headers["Authorization"], 300) as slow,
        served.load() as load,
    ):
        for _ in range(6):
            assert slow.send_a_byte() > 0
            time.sleep(1)
    assert not load.failed(), load.summary()
    crowded = percentile((one.seconds for one in load.answers), 99)
    assert crowded < max(10 * alone, 1000), (alone, crowded)


class Slow:
    """Connections of one application that do not come to an end: half with a request's head, half with its
    body."""

    def __init__(self, served: Served, authorization: str, count: int) -> None:
        host, _, port = served.url.removeprefix("http://").partition(":")
        self.address, self.count = (host, int(port)), count
        head = (
            f"POST /serving/models/{NAME}/predict HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: {authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: 100000\r\n"
        )
        self.heads = [f"{head}X-More: ".encode(), f"{head}\r\n".encode()]
        self.sockets: list[socket.socket] = []

    def __enter__(self) -> Slow:
        for number in range(self.count):
            one = socket.create_connection(self.address, timeout=10)
            one.sendall(self.heads[number % 2])
            self.sockets.append(one)
        return self

    def send_a_byte(self) -> int:
        """To each; how many of them are still let."""
        alive = 0
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.sendall(b"1")
                alive += 1
        return alive

    def __exit__(self, *_: object) -> None:
        for one in self.sockets:
            one.close()


def test_a_model_that_hangs_holds_up_its_own_requests_alone(served: Served, stack: Stack):
    sleeps = {"inputs": [{"do": "sleep for ever"}]}
    with served.load() as load:
        time.sleep(2)
    alone = percentile((one.seconds for one in load.answers), 99)
    with served.load(ODD, sleeps, clients=20, pause=1, patience=90) as hung:
        time.sleep(1)
        with served.load() as load:
            time.sleep(8)
        assert not load.failed(), load.summary()
        crowded = percentile((one.seconds for one in load.answers), 99)
        assert crowded < max(10 * alone, 1000), (alone, crowded)
    statuses = {one.status for one in hung.answers}
    assert statuses <= {429, 503}, hung.summary()
    codes = {one.said["error"]["code"] for one in hung.answers if one.status == 503}
    assert codes & {"timed_out", "model_stuck"}, hung.summary()
    assert served.asks(NAME, POINT).status_code == 200
    # What hangs cannot be ended but with its process.
    stack.slipway("restart", "serving")
    work = {"inputs": [{"do": "work"}]}
    assert eventually(lambda: served.asks(ODD, work).status_code == 200, BACK)
