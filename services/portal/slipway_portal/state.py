"""What is known about the platform at one moment, and how answers of services are folded into it. No HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

SERVICES = {"hub": "Notebooks", "mlflow": "Experiments", "serving": "Serving", "auth": "Log-in"}
"""Key and name of each service that is watched, in the order they are shown."""

OVERALL = {
    "up": "All systems up",
    "down": "Some services are down",
    "unknown": "Checking the services",
}


@dataclass(frozen=True)
class Service:
    """status: `up`, `down` or `unknown`. since: when it became so. reason: why it is down, in words."""

    status: str = "unknown"
    since: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class ProductionModel:
    """since: ISO 8601. answered: requests for predictions, of all versions. note: what is not as wanted."""

    name: str
    version: str
    since: str | None = None
    runtime: str | None = None
    answered: int | None = None
    note: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    """Name and type of each input column; empty where the signature names none."""


@dataclass(frozen=True)
class State:
    """models and answered are None while serving does not tell."""

    services: Mapping[str, Service] = field(default_factory=lambda: dict.fromkeys(SERVICES, Service()))
    models: tuple[ProductionModel, ...] | None = None
    answered: int | None = None

    @property
    def overall(self) -> str:
        """`down` if anything is, `up` if everything is, else `unknown`."""
        statuses = {service.status for service in self.services.values()}
        return "down" if "down" in statuses else "up" if statuses == {"up"} else "unknown"

    def with_service(self, key: str, reason: str | None, now: datetime | None = None) -> State:
        """After a check: up without a reason, down with one. `since` moves only when the status does."""
        status = "up" if reason is None else "down"
        before = self.services[key]
        changed = (now or datetime.now(UTC)).isoformat("T", "seconds")
        since = before.since if before.status == status else changed
        return replace(self, services={**self.services, key: Service(status, since, reason)})

    def with_production(self, models: Any, visitors: Any) -> State:
        """After serving was asked: its /models and /visitors, or None for what it did not answer."""
        answered, by_model = read_visitors(visitors)
        return replace(self, models=read_models(models, by_model), answered=answered)

    def as_json(self) -> dict[str, Any]:
        """{"overall", "summary", "services": {key: {…}}, "models": [{…}] | null, "answered": n | null}"""
        return {
            "overall": self.overall,
            "summary": summary(self),
            "services": {key: asdict(service) for key, service in self.services.items()},
            "models": None if self.models is None else [asdict(model) for model in self.models],
            "answered": self.answered,
        }


def summary(state: State) -> str:
    """The overall state for those who may know more: it names what is down."""
    down = [SERVICES[key] for key, service in state.services.items() if service.status == "down"]
    return f"{OVERALL['down']}: {', '.join(down)}" if down else OVERALL[state.overall]


def read_models(document: Any, answered: Mapping[str, int] | None) -> tuple[ProductionModel, ...] | None:
    """Serving's /models -> what is live. What has no name or version is left out; None if it is no list."""
    entries = document.get("models") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return None
    return tuple(
        ProductionModel(
            name=entry["name"],
            version=str(entry["version"]),
            since=_text(entry.get("since")),
            runtime=_text(entry.get("runtime")),
            answered=None if answered is None else answered.get(entry["name"], 0),
            note=_note(entry),
            columns=_columns(entry.get("signature")),
        )
        for entry in entries
        if isinstance(entry, dict) and _text(entry.get("name")) and entry.get("version") is not None
    )


def read_visitors(document: Any) -> tuple[int | None, dict[str, int] | None]:
    """Serving's /visitors -> the total and the count of each model; None for both where it does not tell."""
    if not isinstance(document, dict) or not isinstance(document.get("total"), int):
        return None, None
    models = document.get("models")
    counts = {
        name: entry["total"]
        for name, entry in (models if isinstance(models, dict) else {}).items()
        if isinstance(entry, dict) and isinstance(entry.get("total"), int)
    }
    return document["total"], counts


def _note(entry: dict[str, Any]) -> str | None:
    """Where another version is wanted than the one that answers: which, and why it is not there."""
    wanted, failure = entry.get("wanted"), entry.get("failure")
    if wanted is None or str(wanted) == str(entry["version"]):
        return None
    reason = _text(failure.get("reason")) if isinstance(failure, dict) else None
    return f"Version {wanted} cannot be loaded: {reason}" if reason else f"Version {wanted} is being loaded"


def _columns(signature: Any) -> tuple[tuple[str, str], ...]:
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if not isinstance(inputs, list) or not all(isinstance(column, dict) for column in inputs):
        return ()
    columns = tuple((_text(column.get("name")), _text(column.get("type"))) for column in inputs)
    return columns if all(name and kind for name, kind in columns) else ()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
