"""What Production is in the registry: an alias, mirrored to a stage, and the record of its moves.

A move is written in an order that lets the same command, given again, finish what an accident broke off: the
stage first, then the alias (which is what serving follows), then the record. Knows no command line and no
serving.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException

from .errors import PipelineError
from .tracking import missing, versions_of

ALIAS = "production"
STAGE = "Production"
REPLACED = "production.replaced"  # on a version: the version whose place it took, empty for the first one
EVENT = "rollout."  # on a version, followed by the time: one move, as JSON
_PENDING = "rollout.pending"  # on the model while a move is under way: its action and its version
_RECORD = "production."  # on the model: version, from, since, by, action, reason


@dataclass(frozen=True)
class Move:
    """Production went from one version to another (None: none). changed: False where it was already so."""

    name: str
    before: str | None
    after: str | None
    changed: bool
    stage_before: str = "None"


def current(client: MlflowClient, name: str) -> str | None:
    """The version that has the alias; raises PipelineError for an unknown model."""
    return get_model(client, name).aliases.get(ALIAS)


def previous(client: MlflowClient, name: str) -> str:
    """What a rollback goes to; raises PipelineError where there is nothing to go back to."""
    model = get_model(client, name)
    version = model.aliases.get(ALIAS)
    if version is None:
        raise PipelineError(f"{name} has no version in Production: there is nothing to roll back from")
    replaced = get_version(client, name, version).tags.get(REPLACED)
    # Somebody moved the alias by hand: what was recorded before that is what it replaced.
    target = replaced if replaced is not None else _recorded(model, "version")
    if not target or target == version:
        raise PipelineError(
            f"{name} version {version} replaced no other version: name one with slipway rollout "
            f"{name} VERSION"
        )
    return target


def interrupted_rollback(client: MlflowClient, name: str) -> str | None:
    """The version a rollback was moving to when it was broken off after the alias; finishing it is not
    another one.
    """
    model = get_model(client, name)
    version = model.aliases.get(ALIAS)
    return version if version and model.tags.get(_PENDING) == f"rollback {version}" else None


def move(
    client: MlflowClient, name: str, version: str, by: str, reason: str, action: str = "rollout"
) -> Move:
    """Make a version Production; says what it was before. Repeating it finishes or changes nothing.

    action: `rollout`, or `rollback`, which leaves on record what the version itself had replaced, so
    that the next rollback goes further back instead of forth again.
    """
    model, wanted = get_model(client, name), get_version(client, name, version)
    if wanted.status != "READY":
        raise PipelineError(f"{name} version {version} is {wanted.status}, not READY: register the run again")
    before = model.aliases.get(ALIAS)
    if before == version and _recorded(model, "version") == version and _is_mirrored(client, model, version):
        if _PENDING in model.tags:
            client.delete_registered_model_tag(name, _PENDING)
        return Move(name, wanted.tags.get(REPLACED) or None, version, changed=False, stage_before="Archived")
    client.set_registered_model_tag(name, _PENDING, f"{action} {version}")
    if action == "rollout" and before != version:
        client.set_model_version_tag(name, version, REPLACED, before or "")
    if before == version:  # broken off after the alias: what it was before is on record only
        recorded = _recorded(model, "version")
        before = (recorded if recorded != version else wanted.tags.get(REPLACED)) or None
    _set_stage(client, name, version, STAGE, archive=True)
    client.set_registered_model_alias(name, ALIAS, version)
    _record(client, name, action, before, version, by, reason)
    return Move(name, before, version, changed=True, stage_before=wanted.current_stage)


def take_back(client: MlflowClient, done: Move, by: str, reason: str) -> None:
    """Undo a move whose version could not be served: the alias first, since that is what does harm."""
    name, failed, target = done.name, done.after, done.before
    if target is not None and not _exists(client, name, target):
        target = None
    if target is None:
        client.delete_registered_model_alias(name, ALIAS)
    else:
        client.set_registered_model_alias(name, ALIAS, target)
    stage = done.stage_before if done.stage_before != STAGE else "Archived"
    _set_stage(client, name, failed, stage)
    if target is not None:
        _set_stage(client, name, target, STAGE, archive=True)
    _record(client, name, "taken back", failed, target, by, reason)


def get_model(client: MlflowClient, name: str) -> RegisteredModel:
    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if missing(error):
            raise PipelineError(
                f"NAME {name!r} is no registered model: slipway models lists them, slipway register makes one"
            ) from error
        raise


def get_version(client: MlflowClient, name: str, version: str) -> ModelVersion:
    unknown = PipelineError(
        f"VERSION {version!r} of {name} does not exist: slipway status {name} lists its versions"
    )
    if not version.isdecimal():
        raise unknown
    try:
        return client.get_model_version(name, version)
    except MlflowException as error:
        if missing(error):
            raise unknown from error
        raise


def events(versions: list[ModelVersion]) -> list[dict[str, str]]:
    """Every recorded move, the latest first: at, action, from, to, by, why."""
    found = [
        {"at": key.removeprefix(EVENT), **json.loads(value)}
        for version in versions
        for key, value in version.tags.items()
        if key.startswith(EVENT)
    ]
    return sorted(found, key=lambda event: event["at"], reverse=True)


def note_event(
    client: MlflowClient,
    name: str,
    about: str,
    action: str,
    before: str | None,
    after: str | None,
    by: str,
    why: str,
) -> str:
    """One line of the model's history, on the version `about`; gives the time it bears."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"action": action, "from": before or "", "to": after or "", "by": by, "why": why}
    client.set_model_version_tag(name, about, EVENT + now, json.dumps(event, ensure_ascii=False))
    return now


def _record(
    client: MlflowClient, name: str, action: str, before: str | None, after: str | None, by: str, why: str
) -> None:
    """The move on the version it brought (or failed to bring), then the present state on the model,
    `version` last.
    """
    about = before if action == "taken back" else after
    now = note_event(client, name, about, action, before, after, by, why)
    state = {
        "from": before or "",
        "since": now,
        "by": by,
        "action": action,
        "reason": why,
        "version": after or "",
    }
    for key, value in state.items():
        client.set_registered_model_tag(name, _RECORD + key, value)
    client.delete_registered_model_tag(name, _PENDING)


def _recorded(model: RegisteredModel, key: str) -> str | None:
    return model.tags.get(_RECORD + key) or None


def _is_mirrored(client: MlflowClient, model: RegisteredModel, version: str) -> bool:
    """The stage is on this version and no other."""
    staged = [str(one.version) for one in versions_of(client, model.name) if one.current_stage == STAGE]
    return staged == [version]


def _exists(client: MlflowClient, name: str, version: str) -> bool:
    try:
        get_version(client, name, version)
    except PipelineError:
        return False
    return True


def _set_stage(client: MlflowClient, name: str, version: str, stage: str, archive: bool = False) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", FutureWarning
        )  # stages are deprecated, and mirrored for as long as they exist
        client.transition_model_version_stage(name, version, stage, archive_existing_versions=archive)
