"""Who sends a request: the person that the gateway names, or serving with its token. Knows no HTTP library
and nothing of MLflow.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass

BUILT_IN_ADMINISTRATOR = "_slipway"
"""MLflow wants one from its first start. Nobody can be it: MLflow's own log-in is not in use."""
READER = "_serving"
# As the hub has them; neither of the two above can be one.
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
GROUP_NAME = re.compile(r"[^,\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True)
class Caller:
    """Somebody whose word has been checked."""

    name: str
    admin: bool = False
    groups: frozenset[str] = frozenset()

    @property
    def reads_only(self) -> bool:
        """Whatever somebody grants to it."""
        return self.name == READER


THE_READER = Caller(READER)

current: ContextVar[Caller | None] = ContextVar("caller", default=None)
"""The caller of the request at hand, in all of its threads and tasks. Only gate.py sets it."""


class Unknown(Exception):
    """Nobody that can be let in; the message says what is missing."""


class Recognition:
    """Knows the two secrets that make a name count."""

    def __init__(self, gateway_secret: str, reader_token: str) -> None:
        self._gateway_secret, self._reader_token = gateway_secret.encode(), reader_token.encode()

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Of a request with these headers, in lower case as ASGI has them; raises Unknown."""
        said = Headers(headers)
        given = said.one(b"x-gateway-secret")
        if given is not None:
            if not hmac.compare_digest(given, self._gateway_secret):
                raise Unknown("the gateway's secret is not right")
            return person(said)
        token = said.one(b"authorization") or b""
        if token[:7].lower() == b"bearer " and hmac.compare_digest(token[7:].strip(), self._reader_token):
            return THE_READER
        raise Unknown("the request did not come through the gateway, which says who somebody is")


class Headers:
    """Those that count, each at most once: of two, a proxy and a server might believe different ones."""

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._values: dict[bytes, bytes] = {}
        for name, value in headers:
            if name in {b"x-gateway-secret", b"authorization"} or name.startswith(b"x-remote-"):
                if name in self._values:
                    raise Unknown(f"the header {name.decode('latin-1')} is there twice")
                self._values[name] = value

    def one(self, name: bytes) -> bytes | None:
        return self._values.get(name)

    def text(self, name: bytes) -> str:
        try:
            return self._values.get(name, b"").decode("utf-8").strip()
        except UnicodeDecodeError:
            raise Unknown(f"the header {name.decode()} is not UTF-8") from None


def person(said: Headers) -> Caller:
    name = said.text(b"x-remote-user")
    if not USER_NAME.fullmatch(name):
        raise Unknown("the gateway named nobody" if not name else "the gateway named no user of the hub")
    groups = (group.strip() for group in said.text(b"x-remote-groups").split(","))
    return Caller(
        name,
        admin=said.text(b"x-remote-admin") == "1",
        groups=frozenset(group for group in groups if GROUP_NAME.fullmatch(group)),
    )
