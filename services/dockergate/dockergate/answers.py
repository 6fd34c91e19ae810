"""What the hub gets to see of the engine's answers: its own project's names, states and addresses. Nobody's
environment, mounts or command, and nothing of another project but the address ranges that are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dockergate.bodies import COMPOSE_PROJECT, COMPOSE_SERVICE, OUR_PROJECT, OUR_ROLE, SERVICES
from dockergate.settings import Settings

LABELS_SHOWN = (COMPOSE_PROJECT, COMPOSE_SERVICE, OUR_PROJECT, OUR_ROLE)
STATE_SHOWN = ("Status", "Running", "ExitCode", "Error", "OOMKilled", "StartedAt", "FinishedAt")


def is_server(found: Mapping[str, Any], settings: Settings) -> bool:
    """Whether an inspected container is a user's server: by its name and by its labels."""
    named = found["Name"].lstrip("/").startswith(settings.names_begin_with)
    return named and _is_ours(found["Config"].get("Labels"), settings)


def service_of(found: Mapping[str, Any], settings: Settings) -> str | None:
    """Which of the services that join servers' networks an inspected container is, in this project."""
    return _service(found["Config"].get("Labels"), settings)


def is_network_of_a_server(found: Mapping[str, Any], settings: Settings) -> bool:
    return found["Name"].startswith(settings.names_begin_with) and _is_ours(found.get("Labels"), settings)


def version(found: dict[str, Any]) -> dict[str, Any]:
    shown = ("Version", "ApiVersion", "MinAPIVersion", "Os", "Arch")
    return {name: found[name] for name in shown if name in found}


def image(found: dict[str, Any]) -> dict[str, Any]:
    config = {name: found.get("Config", {}).get(name) for name in ("Cmd", "Entrypoint", "User", "WorkingDir")}
    return {"Id": found["Id"], "RepoTags": found.get("RepoTags"), "Config": config}


def container(found: dict[str, Any]) -> dict[str, Any]:
    state = {name: found["State"][name] for name in STATE_SHOWN if name in found["State"]}
    return {
        "Id": found["Id"],
        "Name": found["Name"],
        "Created": found.get("Created"),
        "State": state,
        "Config": {"Image": found["Config"].get("Image"), "Env": [], "Labels": _labels(found["Config"])},
        "NetworkSettings": {"Networks": _endpoints(found)},
    }


def containers(settings: Settings) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Of a list: users' servers of this project, and its services that join their networks."""

    def reduce(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {
                "Id": one["Id"],
                "Names": one["Names"],
                "State": one.get("State"),
                "Labels": _labels(one),
                "NetworkSettings": {"Networks": _endpoints(one)},
            }
            for one in found
            if _is_ours(one.get("Labels"), settings) or _service(one.get("Labels"), settings)
        ]

    return reduce


def networks(settings: Settings) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Of a list: our own; of the rest only which addresses they take."""

    def reduce(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        show = network(settings)
        return [
            show(one)
            if is_network_of_a_server(one, settings)
            else {"Id": "", "Name": "", "Labels": {}, "IPAM": _ranges(one)}
            for one in found
        ]

    return reduce


def network(settings: Settings) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def reduce(found: dict[str, Any]) -> dict[str, Any]:
        return {
            "Id": found["Id"],
            "Name": found["Name"],
            "Created": found.get("Created"),
            "Labels": found.get("Labels") or {},
            "IPAM": _ranges(found),
            # Only an inspection has them.
            "Containers": found.get("Containers") or {},
        }

    return reduce


def _ranges(found: Mapping[str, Any]) -> dict[str, Any]:
    pools = (found.get("IPAM") or {}).get("Config") or []
    return {"Config": [{"Subnet": pool["Subnet"]} for pool in pools if pool.get("Subnet")]}


def _endpoints(found: Mapping[str, Any]) -> dict[str, Any]:
    every = (found.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        name: {"NetworkID": one.get("NetworkID", ""), "IPAddress": one.get("IPAddress", "")}
        for name, one in every.items()
    }


def _labels(holder: Mapping[str, Any]) -> dict[str, str]:
    every = holder.get("Labels") or {}
    return {name: every[name] for name in LABELS_SHOWN if name in every}


def _is_ours(labels: Mapping[str, str] | None, settings: Settings) -> bool:
    labels = labels or {}
    return (labels.get(OUR_PROJECT), labels.get(OUR_ROLE)) == (settings.notebook_name_prefix, "notebook")


def _service(labels: Mapping[str, str] | None, settings: Settings) -> str | None:
    """A run of `docker compose run` is no service."""
    labels = labels or {}
    if labels.get(COMPOSE_PROJECT) != settings.notebook_name_prefix or labels.get(
        "com.docker.compose.oneoff", "False"
    ) not in {"False", ""}:
        return None
    service = labels.get(COMPOSE_SERVICE, "")
    return service if service in SERVICES else None
