"""Bodies from the wire: whole, bounded however they were sent, compressed or not, fast or slow."""

import asyncio
import gzip as reference
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slipway_serving.bodies import Left, encoding_of, gunzip, gzip, read_body, takes_gzip
from slipway_serving.errors import Refused
from slipway_serving.identity import person
from slipway_serving.limits import Limits


def received(*messages, pause=0.0):
    waiting = list(messages)

    async def receive():
        if not waiting:
            await asyncio.Event().wait()
        await asyncio.sleep(pause)
        return waiting.pop(0)

    return receive


def part(body, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def read(receive, limits=None, **headers):
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return asyncio.run(read_body(receive, sent, limits or Limits(max_body_bytes=10)))


def refused(call, *args, **more):
    with pytest.raises(Refused) as caught:
        call(*args, **more)
    return caught.value


def test_a_body_comes_whole_or_in_parts():
    assert read(received(part(b"0123456789"))) == b"0123456789"
    assert read(received(part(b"012", True), part(b"", True), part(b"34"))) == b"01234"


@pytest.mark.parametrize(
    "messages", [[part(b"x" * 11)], [part(b"x" * 6, True), part(b"x" * 6, True)]], ids=["whole", "parts"]
)
def test_a_body_that_is_too_large_is_refused_however_it_comes(messages):
    assert refused(read, received(*messages)).code == "body_too_large"


def test_a_body_that_says_it_is_too_large_is_not_even_read():
    assert refused(read, received(), content_length="11").code == "body_too_large"


def test_a_caller_that_leaves_in_the_middle_is_told_apart():
    with pytest.raises(Left):
        read(received(part(b"0", True), {"type": "http.disconnect"}))


def test_a_sender_that_never_ends_is_refused_in_time_and_the_others_are_not():
    limits = Limits(body_seconds=0.2)

    async def scenario():
        slow = asyncio.ensure_future(read_body(received(part(b"0", True)), {}, limits))
        steady = asyncio.ensure_future(
            read_body(received(part(b"1", True), part(b"2"), pause=0.05), {}, limits)
        )
        assert await steady == b"12"
        with pytest.raises(Refused) as caught:
            await asyncio.wait_for(slow, 5)
        assert caught.value.code == "body_too_slow"
        assert limits._reading == {} and limits._too_slow == set() and limits._held == 0

    asyncio.run(scenario())


def test_a_server_that_stops_still_ends_a_reader():
    limits = Limits()

    async def scenario():
        task = asyncio.ensure_future(read_body(received(), {}, limits))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_bodies_that_wait_for_their_rest_take_so_much_memory_and_no_more():
    limits = Limits(max_body_bytes=10)
    limits.hold(160)
    assert refused(limits.hold, 1).code == "overloaded"
    limits.let_go(160)
    limits.hold(1)


def test_one_caller_has_so_many_requests_under_way_and_another_its_own():
    limits = Limits(per_caller=2)
    ada, grace = person("ada"), person("grace")
    entered = [limits.enter(ada), limits.enter(ada)]
    error = refused(limits.enter, ada)
    assert (error.code, error.retry_after) == ("too_many_requests", 1)
    limits.leave(limits.enter(grace))
    limits.leave(entered.pop())
    entered.append(limits.enter(ada))
    for who in entered:
        limits.leave(who)
    assert limits._under_way == {}


@given(st.binary(max_size=2000))
def test_what_was_compressed_comes_back_as_it_was(body):
    assert gunzip(reference.compress(body), 2000) == body
    assert reference.decompress(gzip(body)) == body


def test_a_bomb_is_given_up_at_the_limit():
    bomb = reference.compress(b"0" * 50_000_000)
    assert len(bomb) < 60_000
    assert refused(gunzip, bomb, 1_000_000).code == "body_too_large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\x1f\x8b",
        reference.compress(b"hello" * 100, mtime=0)[:-9],
        reference.compress(b"hello", mtime=0) + b"more",
        reference.compress(b"a", mtime=0) + reference.compress(b"b", mtime=0),
        zlib.compress(b"hello"),
    ],
)
def test_what_is_no_whole_gzip_is_refused_in_words(body):
    assert refused(gunzip, body, 1000).code == "not_gzip"


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_fail_otherwise(body):
    try:
        gunzip(b"\x1f\x8b\x08\x00" + body, 1000)
    except Refused as error:
        assert error.code in ("not_gzip", "body_too_large")


def test_only_gzip_is_taken_apart():
    assert encoding_of({}) == encoding_of({b"content-encoding": b"identity"}) == ""
    assert encoding_of({b"content-encoding": b" GZIP "}) == "gzip"
    assert refused(encoding_of, {b"content-encoding": b"br"}).field == "Content-Encoding"


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (b"", False),
        (b"gzip", True),
        (b"br, gzip;q=0.5", True),
        (b"br,*", True),
        (b"br, deflate", False),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0, br", False),
        (b"x-gzipped", False),
    ],
)
def test_answers_are_compressed_for_who_takes_it(header, takes):
    assert takes_gzip(header) is takes
