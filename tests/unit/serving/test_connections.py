"""A connection writes an answer's head with its body, and no answer stays behind."""

import asyncio
import socket
import threading
import time
from functools import partial
from itertools import pairwise

import pytest
import uvicorn
from slipway_serving.connections import Connection

LARGE = b"x" * 500_000
HUGE = b"y" * 50_000_000  # more than the kernel keeps for both ends
PAUSE, UNREAD = 0.3, 1.0


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    await receive()
    kind = scope["path"]
    status, headers = 200, [(b"content-type", b"text/plain")]
    if kind == "/nothing":
        status = 204
    elif kind in ("/large", "/huge"):
        headers.append((b"content-length", b"%d" % len(LARGE if kind == "/large" else HUGE)))
    elif kind != "/stream":
        headers.append((b"content-length", b"5"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if kind == "/broken":
        raise RuntimeError("after the head")
    if kind == "/stream":
        for part in (b"one", b"HTTP/1.1 two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await asyncio.sleep(PAUSE)
    body = {"/nothing": b"", "/large": LARGE, "/huge": HUGE, "/stream": b""}.get(kind, b"hello")
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port():
    connection = partial(Connection, unread_seconds=UNREAD)
    config = uvicorn.Config(app, port=0, http=connection, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def received(port, request):
    """The packets, as they came, until the server closes or says nothing more for a moment."""
    parts = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(1)
        connection.sendall(request)
        try:
            while part := connection.recv(1 << 20):
                parts.append(part)
        except TimeoutError:
            pass
    return parts


def ask(method, path, *headers):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: here", *headers, "", ""]).encode()


def test_a_small_answer_is_one_write(port, monkeypatch):
    written = []
    monkeypatch.setattr(Connection, "connection_made", _noting(Connection.connection_made, written))
    parts = received(port, ask("GET", "/hello", "Connection: close"))
    assert len(written) == 1
    assert b"".join(parts) == written[0]
    assert written[0].startswith(b"HTTP/1.1 200 OK") and written[0].endswith(b"\r\n\r\nhello")


def _noting(connection_made, written):
    def made(self, transport):
        connection_made(self, transport)
        write = self.transport._write
        self.transport._write = lambda data: (written.append(bytes(data)), write(data))

    return made


@pytest.mark.parametrize(
    ("method", "path", "ends"),
    [
        ("HEAD", "/hello", b"content-length: 5\r\n"),
        ("GET", "/nothing", b"\r\n\r\n"),
        ("GET", "/large", b"x" * 1000),
        ("GET", "/broken", b"\r\n\r\n"),
    ],
)
def test_each_kind_of_answer_arrives_whole(port, method, path, ends):
    answer = b"".join(received(port, ask(method, path)))
    assert answer.startswith(b"HTTP/1.1 20")
    assert ends in answer
    if path == "/large":
        assert answer.endswith(LARGE)


def test_a_stream_is_not_held_back(port):
    parts, came = [], []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(ask("GET", "/stream", "Connection: close"))
        while part := connection.recv(1 << 20):
            parts.append(part)
            came.append(time.monotonic())
    assert b"one" in parts[0]
    assert all(later - sooner > PAUSE / 2 for sooner, later in pairwise(came))
    assert b"".join(parts).endswith(b"c\r\nHTTP/1.1 two\r\n0\r\n\r\n")


def test_several_requests_sent_at_once_are_answered_in_their_order(port):
    answers = b"".join(received(port, ask("GET", "/hello") * 3 + ask("GET", "/nothing", "Connection: close")))
    assert answers.count(b"\r\n\r\nhello") == 3
    assert answers.rfind(b"204 No Content") > answers.rfind(b"hello")


def test_a_client_that_asks_first_is_told_to_go_on(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.settimeout(5)
        connection.sendall(ask("POST", "/hello", "Content-Length: 2", "Expect: 100-continue"))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"ok")
        assert connection.recv(1000).endswith(b"hello")


def test_what_is_no_http_is_told_so(port):
    assert b"".join(received(port, b"nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")


def test_an_answer_that_is_not_read_is_cut(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(ask("GET", "/huge"))
        time.sleep(2 * UNREAD)
        assert taken(connection) < len(HUGE)


def test_an_answer_that_is_read_slowly_arrives_whole(port):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(ask("GET", "/huge", "Connection: close"))
        began = time.monotonic()
        assert taken(connection, pause=0.1) > len(HUGE)
        assert time.monotonic() - began > 2 * UNREAD


def taken(connection, pause=0.0):
    """How many bytes come, a million or two at a time."""
    connection.settimeout(5)
    total, reading = 0, True
    while reading:
        time.sleep(pause)
        wanted = 2_000_000
        while wanted > 0 and reading:
            try:
                part = connection.recv(wanted)
            except ConnectionResetError:
                part = b""
            total, wanted, reading = total + len(part), wanted - len(part), bool(part)
    return total
