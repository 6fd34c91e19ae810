"""A replica takes no connection before it can answer, and leaves none unanswered when it stops."""

from __future__ import annotations

import asyncio
import socket
import sys
import time

import pytest
import uvicorn
from slipway_serving.starting import until_settled
from slipway_serving.stopping import Server, Stopping, refuse_new_connections
from slipway_serving.watcher import Look

LOOKED = Look(reachable=True, last_success="2026-11-24T12:00:00+00:00")


class Slot:
    def __init__(self, state: str, failure: object = None) -> None:
        self.state, self.failure = state, failure
        self.settled = state in ("live", "behind", "failed")


class Shelf:
    def __init__(self, **slots: Slot) -> None:
        self._slots = slots

    def slots(self) -> dict[str, Slot]:
        return self._slots


def waited(shelf: Shelf, look: Look, stopping: Stopping | None = None) -> bool:
    """Whether the whole time was waited for."""
    began = time.monotonic()
    asyncio.run(until_settled(shelf, lambda: look, 0.15, stopping or Stopping()))  # type: ignore[arg-type]
    return time.monotonic() - began >= 0.15


@pytest.mark.parametrize("state", ["live", "failed"])
def test_what_answers_or_has_failed_is_not_waited_for(state):
    assert not waited(Shelf(one=Slot("live"), other=Slot(state)), LOOKED)


def test_an_empty_registry_is_not_waited_for():
    assert not waited(Shelf(), LOOKED)


@pytest.mark.parametrize("slot", [Slot("loading"), Slot("behind")])
def test_what_is_being_loaded_is_waited_for(slot):
    assert waited(Shelf(one=Slot("live"), other=slot), LOOKED)


def test_an_older_version_answers_where_the_wanted_one_has_failed():
    assert not waited(Shelf(one=Slot("behind", failure="corrupt")), LOOKED)


def test_the_first_look_is_waited_for_and_no_more_where_the_registry_does_not_answer():
    assert waited(Shelf(one=Slot("live")), Look())
    assert not waited(Shelf(one=Slot("behind")), Look(reachable=False))


def test_who_is_told_to_stop_waits_for_nothing():
    stopping = Stopping()
    stopping.begun = True
    assert not waited(Shelf(one=Slot("loading")), LOOKED, stopping)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can refuse connections and keep those it has")
def test_connections_that_came_before_are_taken_and_later_ones_are_not():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        came = socket.create_connection(listener.getsockname())
        came.sendall(b"before")
        refuse_new_connections(listener.fileno())
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.3)
        listener.settimeout(5)
        taken, _ = listener.accept()
        assert taken.recv(10) == b"before"
        came.close()
        taken.close()


async def application(scope, receive, send) -> None:
    if scope["type"] == "lifespan":
        for answer in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{answer}.complete"})
        return
    await asyncio.sleep(0.005)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def ask(port: int, outcomes: list[str], done: asyncio.Event) -> None:
    """As a gateway does: a connection is kept until it is closed, and a refused one is no loss."""
    while not done.is_set():
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            outcomes.append("refused")
            await asyncio.sleep(0.01)
            continue
        open_still = True
        while open_still and not done.is_set():
            try:
                writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(2)
                outcomes.append("answered")
                open_still = b"connection: close" not in head
            except (OSError, asyncio.IncompleteReadError) as error:
                outcomes.append(f"lost: {error!r}")
                open_still = False
        writer.close()


def test_a_server_that_stops_under_load_answers_all_that_it_took():
    async def run() -> list[str]:
        stopping, outcomes, done = Stopping(), [], asyncio.Event()
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(uvicorn.Config(application, log_config=None, ws="none"), stopping, 0.3)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        clients = [asyncio.create_task(ask(listener.getsockname()[1], outcomes, done)) for _ in range(16)]
        await asyncio.sleep(0.3)
        server.handle_exit(15, None)
        assert stopping.begun
        server._captured_signals.clear()  # else they are raised again at the end
        await asyncio.wait_for(serving, 10)
        await asyncio.sleep(0.1)
        done.set()
        await asyncio.wait(clients, timeout=3)
        return outcomes

    outcomes = asyncio.run(run())
    assert outcomes.count("answered") > 100
    assert not [one for one in outcomes if one.startswith("lost")]
