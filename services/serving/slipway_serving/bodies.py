"""A request's body from the wire: whole, bounded however it was sent, and never from a sender without end."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Mapping

from starlette.types import Receive

from .errors import Refused
from .limits import Limits

GZIP_FROM = 32 * 1024
"""Answers of so many bytes are worth compressing."""
_GZIP = 16 + zlib.MAX_WBITS
_STEP = 256 * 1024
_TAKES_GZIP = re.compile(rb"(?:^|,)\s*(?:gzip|\*)\s*(?:;\s*q=(?!0(?:\.0*)?\s*(?:,|$))[^,]*)?\s*(?=,|$)", re.I)


class Left(Exception):
    """The caller has gone away before its request was whole."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limits: Limits) -> bytes:
    """The whole body as it was sent, whether or not its length was announced; raises Refused and Left."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > limits.max_body_bytes:
        raise too_large(limits.max_body_bytes)
    task = limits.start_reading()
    try:
        message = await receive()
        if message["type"] == "http.request" and not message.get("more_body"):
            body = message.get("body", b"")
            if len(body) > limits.max_body_bytes:
                raise too_large(limits.max_body_bytes)
            return body
        return await _in_parts(receive, message, limits)
    except asyncio.CancelledError:
        if not limits.was_too_slow(task):
            raise
        raise limits.too_slow() from None
    finally:
        limits.stop_reading(task)


async def _in_parts(receive: Receive, message: dict, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        while True:
            if message["type"] == "http.disconnect":
                raise Left
            part = message.get("body", b"")
            if size + len(part) > limits.max_body_bytes:
                raise too_large(limits.max_body_bytes)
            limits.hold(len(part))
            size += len(part)
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
    finally:
        limits.let_go(size)


def encoding_of(headers: Mapping[bytes, bytes]) -> str:
    """How the body is encoded: `gzip` or nothing; raises Refused for any other."""
    sent = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    if sent in ("", "identity"):
        return ""
    if sent in ("gzip", "x-gzip"):
        return "gzip"
    raise Refused(
        "unsupported_media_type",
        f"send the body as it is or compressed with gzip, not {sent[:50]}",
        "Content-Encoding",
    )


def gunzip(body: bytes, limit: int) -> bytes:
    """The body uncompressed, of at most `limit` bytes, however many it claims to be; raises Refused."""
    stream = zlib.decompressobj(_GZIP)
    parts: list[bytes] = []
    size = 0
    try:
        while not stream.eof:
            part = stream.decompress(body, _STEP)
            body = stream.unconsumed_tail
            size += len(part)
            if size > limit:
                raise too_large(limit)
            if not part and not body and not stream.eof:
                raise Refused("not_gzip", "the gzip body ends too early: send all of it", "Content-Encoding")
            parts.append(part)
    except zlib.error:
        raise Refused("not_gzip", "the body is not gzip, as its head says", "Content-Encoding") from None
    if stream.unused_data:
        raise Refused("not_gzip", "there is something after the end of the gzip body", "Content-Encoding")
    return b"".join(parts)


def gzip(body: bytes) -> bytes:
    """For an answer: fast rather than small."""
    stream = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
    return stream.compress(body) + stream.flush()


def takes_gzip(accept_encoding: bytes) -> bool:
    return bool(accept_encoding) and _TAKES_GZIP.search(accept_encoding) is not None


def too_large(limit: int) -> Refused:
    return Refused("body_too_large", f"the body is larger than {limit} bytes: send fewer rows at a time")
