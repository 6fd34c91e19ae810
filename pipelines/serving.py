"""Asks the serving endpoint which version of a model it answers with. Knows nothing of the registry."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from .errors import PipelineError, first_line

POLL_SECONDS = 0.25
# Behind a load balancer each answer may come from another replica: one that agrees is not all of them.
CONFIRMATIONS = 3


class CouldNotLoad(Exception):
    """Serving tried the version and cannot load it; the message is its reason."""


@dataclass(frozen=True)
class Live:
    """version: the one that answers, None while there is none. failed: the wanted one it could not load, and
    why.
    """

    version: str | None
    failed: str | None = None
    reason: str | None = None
    problem: str | None = None

    def __str__(self) -> str:
        return self.problem or (
            f"it answers with version {self.version}" if self.version else "it has no version yet"
        )


class Serving:
    """The endpoint at one address, such as http://localhost:8080/serving. Use as a context manager."""

    def __init__(self, url: str, token: str | None = None):
        self.url = url.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(headers=headers, timeout=10)

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def live(self, name: str) -> Live:
        """What it says of a model now; a server that does not answer is a Live with a problem."""
        try:
            answer = self._http.get(f"{self.url}/models/{name}")
        except httpx.InvalidURL as error:
            raise PipelineError(
                f"SLIPWAY_SERVING_URL {self.url!r} is no address ({error}): give one such as http://localhost:8080/serving"
            ) from error
        except httpx.HTTPError as error:
            return Live(None, problem=f"{self.url} does not answer ({first_line(error)})")
        if answer.status_code in (401, 403):
            raise PipelineError(
                f"serving at {self.url} refused the question ({answer.status_code}, {_said(answer)}): check "
                "MLFLOW_TRACKING_TOKEN, and that this is the platform's own address, which ends in /serving"
            )
        if answer.status_code == httpx.codes.NOT_FOUND:
            return Live(None)
        try:
            said = answer.raise_for_status().json()
            failure = said.get("failure") or {}
            version = said["version"]
        except (httpx.HTTPStatusError, ValueError, KeyError, AttributeError):
            return Live(None, problem=f"{self.url} answered {answer.status_code} without saying its version")
        return Live(
            None if version is None else str(version),
            failed=str(failure["version"]) if "version" in failure else None,
            reason=failure.get("reason"),
        )

    def wait_for(
        self, name: str, version: str | None, timeout: float, tell: Callable[[str], None] = lambda text: None
    ) -> float:
        """Until it answers with the version, several times running; gives the seconds it took.

        Raises CouldNotLoad, and PipelineError when `timeout` seconds have passed.
        """
        began = time.monotonic()
        agreed, last = 0, ""
        while True:
            now = self.live(name)
            if now.failed == version and now.version != version:
                raise CouldNotLoad(now.reason or "no reason given")
            agreed = agreed + 1 if now.version == version else 0
            took = time.monotonic() - began
            if agreed >= CONFIRMATIONS:
                return took
            if took >= timeout:
                raise PipelineError(
                    f"serving at {self.url} did not answer with version {version} of {name} "
                    f"within {timeout:g} s "
                    f"({now}): look at its log, and repeat the command to wait on"
                )
            if str(now) != last and not agreed:
                last = str(now)
                tell(f"waiting for serving: {last} ({took:.0f} s)")
            time.sleep(POLL_SECONDS)


def _said(answer: httpx.Response) -> str:
    """The reason, in serving's words or in the door-keeper's."""
    try:
        said = answer.json()
        return str(said["error"]["message"] if "error" in said else said["message"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
