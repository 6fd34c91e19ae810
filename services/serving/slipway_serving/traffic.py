"""How a model's requests are shared out among its versions, as the registry's tags say: pure functions.

Every replica reads the same tags and hashes alike, so that all of them agree on who is sent where.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

CANARY, SHADOW = "canary", "shadow"
CANARY_TAG, STICKY_TAG, SHADOW_TAG = "slipway.canary", "slipway.canary.sticky", "slipway.shadow"
RUNTIME_TAG, EXPECTED_TAG = "slipway.runtime", "slipway.expected"
"""Tags of a version: the runtime an operator pins, and the predictions its input example must get."""


@dataclass(frozen=True)
class Traffic:
    """canary: percent of the requests that version gets; by_caller: each caller's requests all go one way;
    shadow: percent copied to that version; remarks: what in the tags is not followed, and why.
    """

    canary: float = 0
    by_caller: bool = False
    shadow: float = 0
    remarks: tuple[str, ...] = ()


def read_traffic(aliases: Mapping[str, str], tags: Mapping[str, str]) -> Traffic:
    """What a registered model's tags ask for; what cannot be followed is read as nothing, with a remark."""
    remarks: list[str] = []
    canary = _percent(CANARY_TAG, tags.get(CANARY_TAG), 0, remarks)
    if canary and CANARY not in aliases:
        remarks.append(f"the tag {CANARY_TAG} is {tags[CANARY_TAG]}, but no version has the alias {CANARY}")
        canary = 0
    sticky = tags.get(STICKY_TAG, "request").strip().lower()
    if sticky not in ("request", "caller"):
        remarks.append(f"the tag {STICKY_TAG} is {sticky!r}: write request or caller; read as request")
    shadow = _percent(SHADOW_TAG, tags.get(SHADOW_TAG), 100, remarks) if SHADOW in aliases else 0
    if SHADOW_TAG in tags and SHADOW not in aliases:
        remarks.append(f"the tag {SHADOW_TAG} is {tags[SHADOW_TAG]}, but no version has the alias {SHADOW}")
    return Traffic(canary, sticky == "caller", shadow, tuple(remarks))


def place_of(name: str, value: bytes) -> float:
    """Where on the line from 0 to 100 a caller stands for this model: in the canary's share if below it.

    The same in every process; whoever is in a share of 10 percent is in one of 20 too.
    """
    digest = blake2b(value, digest_size=7, key=blake2b(name.encode(), digest_size=32).digest()).digest()
    return int.from_bytes(digest, "big") * 100 / 2**56


def _percent(tag: str, text: str | None, default: float, remarks: list[str]) -> float:
    if text is None:
        return default
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = math.nan
    if 0 <= value <= 100:
        return value
    remarks.append(f"the tag {tag} is {text!r}: write a number from 0 to 100; read as 0")
    return 0
