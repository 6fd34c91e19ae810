"""Who is asking, and what they may ask for. Knows neither HTTP nor how a key is checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .errors import Refused

EVERY_MODEL = "*"


@dataclass(frozen=True)
class Caller:
    """kind: `application`, by a key; `person`, as the gateway says; `service`, which only reads.

    name: the application's or the person's: what logs show and counts go by. models: None for all of them.
    """

    kind: str
    name: str
    models: frozenset[str] | None = None
    key_id: str | None = None

    def may_use(self, model: str) -> bool:
        return self.models is None or model in self.models

    def require(self, model: str) -> None:
        """Raises Refused unless the caller may use the model."""
        if not self.may_use(model):
            raise Refused(
                "not_for_this_model",
                f"the key of {self.name!r} is not for the model {model!r}: ask for one that is",
                "Authorization",
            )


PORTAL = Caller("service", "portal")


def application(name: str, key_id: str, models: Iterable[str]) -> Caller:
    names = frozenset(models)
    return Caller("application", name, None if EVERY_MODEL in names else names, key_id)


def person(name: str) -> Caller:
    return Caller("person", name)
