"""Refusals as JSON, in the shape that MLflow's clients read. What is refused, others decide."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

LOG_IN = "log in, or send a token made at /hub/token"


class Refused(Exception):
    """A request that is not done; the message names the field and the remedy."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def refusal(status: int, code: str, message: str) -> Response:
    body = {"error_code": code, "message": message}
    return JSONResponse(body, status, headers={"Cache-Control": "no-store"})


def unauthenticated() -> Response:
    response = refusal(401, "UNAUTHENTICATED", LOG_IN)
    response.headers["WWW-Authenticate"] = 'Bearer realm="slipway"'
    return response


def unavailable(message: str) -> Response:
    response = refusal(503, "TEMPORARILY_UNAVAILABLE", message)
    response.headers["Retry-After"] = "5"
    return response


async def refused(request: Request, error: Exception) -> Response:
    """For Starlette: a Refused as what it says."""
    if not isinstance(error, Refused):
        raise error
    return unauthenticated() if error.status == 401 else refusal(error.status, error.code, error.message)
