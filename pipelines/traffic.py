"""What other versions get of a model's requests beside Production: a canary, whose answers are given to
callers, and a shadow, whose answers are only compared.

An alias names the version and a tag on the model its share; serving follows both, and every replica reads
them alike. They are written in an order that never gives a version the share that was meant for another one.
Knows no command line and no serving.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlflow import MlflowClient
from mlflow.entities.model_registry import RegisteredModel

from . import production
from .errors import PipelineError
from .production import get_model, get_version

CANARY, SHADOW = "canary", "shadow"
"""The aliases."""
SHARE = {CANARY: "slipway.canary", SHADOW: "slipway.shadow"}
"""Tags on the model: percent, 0 to 100."""
STICKY = "slipway.canary.sticky"
"""A tag on the model: one of STICKINESS, the first where it is missing."""
STICKINESS = {"request": "each request by chance", "caller": "each caller always or never"}


@dataclass(frozen=True)
class Share:
    """changed: False where it was already so. before: the version that had the alias, None for none."""

    name: str
    kind: str
    version: str
    percent: float
    sticky: str
    before: str | None
    changed: bool


def set_canary(
    client: MlflowClient,
    name: str,
    version: str | None,
    percent: float,
    sticky: str | None,
    by: str,
    reason: str = "",
) -> Share:
    """Give a version `percent` of the requests that Production would get.

    version: None for the present canary; sticky: None for what it is now. Raises PipelineError.
    """
    return _set(client, CANARY, name, version, percent, sticky, by, reason)


def set_shadow(
    client: MlflowClient, name: str, version: str | None, percent: float, by: str, reason: str = ""
) -> Share:
    """Have a version asked too, for `percent` of the requests; its answers are compared and never given."""
    return _set(client, SHADOW, name, version, percent, None, by, reason)


def end(client: MlflowClient, kind: str, name: str, by: str, reason: str = "") -> str | None:
    """Take the alias away, then its tags; the version that had it, None where there was none."""
    model = get_model(client, name)
    version = model.aliases.get(kind)
    if version is not None:
        client.delete_registered_model_alias(name, kind)
        production.note_event(client, name, version, f"{kind} off", version, None, by, reason)
    for tag in (SHARE[kind], *([STICKY] if kind == CANARY else [])):
        if tag in model.tags:
            client.delete_registered_model_tag(name, tag)
    return version


def end_what_is_production(client: MlflowClient, name: str, by: str) -> list[str]:
    """After a move of Production: a version that gets all requests needs no share of them.

    Gives the kinds that were ended.
    """
    aliases = get_model(client, name).aliases
    live = aliases.get(production.ALIAS)
    ended = [kind for kind in SHARE if live is not None and aliases.get(kind) == live]
    for kind in ended:
        end(client, kind, name, by, "it is Production")
    return ended


def percent_of(model: RegisteredModel, kind: str) -> float | None:
    """The version's share as serving reads it; None where it is no number from 0 to 100."""
    text = model.tags.get(SHARE[kind], "100" if kind == SHADOW else "0")
    try:
        percent = float(text)
    except ValueError:
        return None
    return percent if 0 <= percent <= 100 else None


def describe(model: RegisteredModel) -> list[str]:
    """A line for each that there is."""
    lines = []
    for kind in SHARE:
        version = model.aliases.get(kind)
        if version is None:
            continue
        percent = percent_of(model, kind)
        if percent is None:
            wrong = f"{SHARE[kind]} is {model.tags[SHARE[kind]]!r}, which is no number from 0 to 100"
            lines.append(f"{kind}: version {version} gets no requests: {wrong}")
        elif kind == CANARY:
            lines.append(f"canary: version {version} answers {percent:g} % of the requests, {_how(model)}")
        else:
            lines.append(f"shadow: version {version} is asked too for {percent:g} % of the requests")
    return lines


def _set(
    client: MlflowClient,
    kind: str,
    name: str,
    version: str | None,
    percent: float,
    sticky: str | None,
    by: str,
    reason: str,
) -> Share:
    model = get_model(client, name)
    before = model.aliases.get(kind)
    chosen = version or before
    _check(client, kind, model, chosen)
    sticky = sticky or _sticky(model)
    wanted = {SHARE[kind]: f"{percent:g}", **({STICKY: sticky} if kind == CANARY else {})}
    changed = before != chosen or any(model.tags.get(tag) != value for tag, value in wanted.items())
    if changed:
        if before != chosen:
            # Until the alias has moved, nobody gets a share, and not the one before this one's.
            client.set_registered_model_tag(name, SHARE[kind], "0")
            client.set_registered_model_alias(name, kind, chosen)
        for tag in reversed(wanted):
            client.set_registered_model_tag(name, tag, wanted[tag])
        replaced = before if before != chosen else None
        production.note_event(client, name, chosen, f"{kind} {percent:g} %", replaced, chosen, by, reason)
    return Share(name, kind, chosen, percent, sticky, before, changed)


def _check(client: MlflowClient, kind: str, model: RegisteredModel, version: str | None) -> None:
    name = model.name
    if version is None:
        raise PipelineError(
            f"VERSION is missing, and {name} has no {kind}: slipway status {name} lists versions"
        )
    status = get_version(client, name, version).status
    if status != "READY":
        raise PipelineError(f"{name} version {version} is {status}, not READY: register the run again")
    live = model.aliases.get(production.ALIAS)
    if live is None:
        raise PipelineError(
            f"{name} has no version in Production, whose requests a {kind} would get: "
            f"slipway rollout {name} VERSION comes first"
        )
    if live == version:
        raise PipelineError(
            f"VERSION {version} of {name} is in Production and gets all requests: name another one as {kind}"
        )


def _sticky(model: RegisteredModel) -> str:
    return model.tags[STICKY] if model.tags.get(STICKY) in STICKINESS else next(iter(STICKINESS))


def _how(model: RegisteredModel) -> str:
    return STICKINESS[_sticky(model)]
