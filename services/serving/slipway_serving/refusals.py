"""The one place where a Refused becomes HTTP: status, headers, and the body as each protocol has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from .errors import Refused

Headers = list[tuple[bytes, bytes]]

# Whatever is not named here is a request that was read but cannot be answered: 422.
STATUS = {
    "not_json": 400,
    "not_csv": 400,
    "not_arrow": 400,
    "not_gzip": 400,
    "not_parquet": 400,
    "not_an_object": 400,
    "bad_request": 400,
    "no_credentials": 401,
    "malformed_key": 401,
    "foreign_key": 401,
    "expired_key": 401,
    "revoked_key": 401,
    "not_for_this_model": 403,
    "read_only": 403,
    "unknown_model": 404,
    "unknown_version": 404,
    "no_model": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "body_too_slow": 408,
    "ambiguous_model": 409,
    "body_too_large": 413,
    "too_many_rows": 413,
    "unsupported_media_type": 415,
    "too_many_requests": 429,
    "model_failed": 500,
    "internal_error": 500,
    "model_not_ready": 503,
    "model_stuck": 503,
    "keys_unknown": 503,
    "overloaded": 503,
    "timed_out": 503,
}
_MLFLOW_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "ENDPOINT_NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "RESOURCE_CONFLICT",
    413: "BAD_REQUEST",
    415: "BAD_REQUEST",
    422: "BAD_REQUEST",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


@dataclass(frozen=True, slots=True)
class Told:
    status: int
    headers: Headers
    body: bytes


def own(error: Refused) -> Told:
    """{"error": {"code", "message", "field"}}"""
    return _refusal(error, status_of(error), {"error": _detail(error)})


def mlflow(error: Refused) -> Told:
    """As MLflow's scoring server has it, with our own beside it: input that does not fit is 400 there."""
    status = status_of(error)
    document = {"error_code": _MLFLOW_CODES[status], "message": error.message, "error": _detail(error)}
    return _refusal(error, 400 if status == 422 else status, document)


def open_inference(error: Refused) -> Told:
    """{"error": a sentence}, as the Open Inference Protocol has it, and our own code and field beside it."""
    status = status_of(error)
    document = {"error": error.message, "code": error.code, "field": error.field}
    return _refusal(error, 400 if status == 422 else status, document)


def by_path(path: str) -> Callable[[Refused], Told]:
    """How the protocol of a path tells of errors."""
    if path == "/v2" or path.startswith("/v2/"):
        return open_inference
    return mlflow if path.endswith("/invocations") else own


def status_of(error: Refused) -> int:
    return STATUS.get(error.code, 422)


def _detail(error: Refused) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "field": error.field}


def _refusal(error: Refused, status: int, document: dict[str, Any]) -> Told:
    body = orjson.dumps(document)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if error.retry_after is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after))
    if status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="slipway"'))
    if status == 408:
        headers.append((b"connection", b"close"))  # the rest of the body may still come
    return Told(status, headers, body)
