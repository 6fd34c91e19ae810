"""What the registry holds, as the lines that `slipway models` and `slipway status` print."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion, RegisteredModel

from . import traffic
from .production import ALIAS, events, get_model
from .tracking import versions_of

_MOVES_SHOWN = 10


def list_models(client: MlflowClient) -> list[str]:
    """A table of the registered models and what is in Production; one sentence where there are none."""
    rows = [
        [
            model.name,
            model.aliases.get(ALIAS, "-"),
            _share(model, traffic.CANARY),
            _share(model, traffic.SHADOW),
            model.tags.get("production.since", "-")[:19],
            model.tags.get("production.by", "-"),
            str(max((int(one.version) for one in versions_of(client, model.name)), default=0)),
        ]
        for model in _all_models(client)
    ]
    if not rows:
        return ["no model is registered yet: slipway register RUN_ID --name NAME makes the first version"]
    return table(["MODEL", "PRODUCTION", "CANARY", "SHADOW", "SINCE (UTC)", "BY", "LATEST VERSION"], rows)


def describe_model(client: MlflowClient, name: str) -> list[str]:
    """A model's versions with where they came from, and the latest moves of Production; raises
    PipelineError.
    """
    model = get_model(client, name)
    versions = versions_of(client, name)
    lines = [f"{name}: {_production(model)}", *traffic.describe(model), ""]
    lines += table(
        ["VERSION", "STAGE", "ALIASES", "METRIC", "DATA SET", "RUN", "REGISTERED (UTC)"],
        [_version_row(model, version) for version in versions],
    )
    moves = events(versions)
    if moves:
        lines += [
            "",
            *table(["WHEN (UTC)", "WHAT", "FROM", "TO", "BY", "WHY"], map(_move_row, moves[:_MOVES_SHOWN])),
        ]
    if len(moves) > _MOVES_SHOWN:
        lines.append(f"… and {len(moves) - _MOVES_SHOWN} earlier: they are in the versions' tags")
    return lines


def table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    """Columns as wide as what is in them."""
    cells = [heads, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _all_models(client: MlflowClient) -> list[RegisteredModel]:
    found: list[RegisteredModel] = []
    token = None
    while True:
        page = client.search_registered_models(max_results=100, order_by=["name"], page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _production(model: RegisteredModel) -> str:
    version = model.aliases.get(ALIAS)
    if version is None:
        return "no version is in Production"
    said = {key: model.tags.get(f"production.{key}", "") for key in ("version", "since", "by", "reason")}
    if said["version"] != version:
        return f"version {version} is in Production (moved without slipway rollout)"
    reason = f": {said['reason']}" if said["reason"] else ""
    return f"version {version} is in Production since {said['since'][:19]} by {said['by']}{reason}"


def _share(model: RegisteredModel, kind: str) -> str:
    """Such as `5 (10 %)`."""
    version = model.aliases.get(kind)
    return f"{version} ({traffic.percent_of(model, kind) or 0:g} %)" if version else "-"


def _version_row(model: RegisteredModel, version: ModelVersion) -> list[str]:
    tags = version.tags
    number = str(version.version)
    metric = tags.get("primary_metric")
    return [
        number,
        version.current_stage or "None",
        ",".join(sorted(alias for alias, of in model.aliases.items() if str(of) == number)) or "-",
        f"{metric} {tags.get(f'metric.{metric}', '')}" if metric else "-",
        f"{tags.get('dataset.name', '-')} {tags.get('dataset.digest', '')}".strip(),
        version.run_id or "-",
        datetime.fromtimestamp(version.creation_timestamp / 1000, UTC).isoformat(timespec="seconds")[:19],
    ]


def _move_row(event: dict[str, str]) -> list[str]:
    shown = [event["at"][:19], *(event.get(key) or "-" for key in ("action", "from", "to", "by", "why"))]
    return [*shown[:-1], shown[-1] if len(shown[-1]) <= 100 else shown[-1][:99] + "…"]
