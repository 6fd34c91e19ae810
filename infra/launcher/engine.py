"""What the Docker Engine says: its version, its machine, the containers and volumes of a project. Changes
nothing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.shell import NOT_FOUND, Answer, ask

PROJECT, SERVICE, ONE_OFF = (
    "com.docker.compose.project",
    "com.docker.compose.service",
    "com.docker.compose.oneoff",
)
CONFIG_HASH = "com.docker.compose.config-hash"
OUR_PROJECT, OUR_ROLE = "slipway.project", "slipway.role"


class Engine(NamedTuple):
    """A Docker Engine that answered."""

    version: str
    memory_bytes: int
    cpus: int
    data_root: str
    system: str
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    is_here: bool
    """False if DOCKER_HOST or a context names an engine over the network."""


class Container(NamedTuple):
    id: str
    name: str
    service: str
    """Empty for a user's server."""
    state: str
    """created, running, restarting, paused, exited or dead."""
    health: str
    """healthy, unhealthy, starting, or empty where there is no healthcheck."""
    exit_code: int
    restarts: int
    started_at: str
    """RFC 3339; the year 1 if it never started."""
    finished_at: str
    image: str
    """The name it was started with."""
    image_id: str
    config_hash: str
    ports: Mapping[int, str]
    """Published ports of the machine, and the address each is bound to."""
    labels: Mapping[str, str]
    error: str
    """Why the engine could not start it, if so."""


def docker(*arguments: str, seconds: float = 60) -> Answer:
    return ask(["docker", *arguments], seconds)


def look() -> Engine:
    """The engine, or a Problem that tells why none answers and what to do."""
    answer = docker("info", "--format", "{{json .}}", seconds=30)
    facts = _json(answer.out) or {}
    # `docker info` ends with 0 or 1 depending on the client's version; what it found is what counts.
    if answer.status == NOT_FOUND or not facts.get("ServerVersion"):
        errors = " ".join(facts.get("ServerErrors") or []) or answer.err
        raise unreachable(
            answer.status == NOT_FOUND, errors, _has_systemd(), os.environ.get("DOCKER_HOST", "")
        )
    return Engine(
        version=facts["ServerVersion"],
        memory_bytes=int(facts.get("MemTotal", 0)),
        cpus=int(facts.get("NCPU", 0)),
        data_root=facts.get("DockerRootDir", ""),
        system=facts.get("OperatingSystem", ""),
        is_here=_is_here(),
    )


def unreachable(no_client: bool, said: str, has_systemd: bool, docker_host: str = "") -> Problem:
    """Why no engine answers, in words, with the remedy that fits."""
    if no_client:
        return Problem(
            "Docker is not installed: there is no `docker` program on this machine.",
            "Run `./slipway up --install-docker` (Debian, Ubuntu), or install Docker Engine 20.10 or newer.",
            PRECONDITION,
        )
    if "permission denied" in said.lower():
        return Problem(
            "Your user may not use the Docker Engine (permission denied on its socket).",
            "Run it with sudo, or let yourself in: `sudo usermod -aG docker $USER`, then log in again.",
            PRECONDITION,
        )
    if docker_host:
        return Problem(
            f"DOCKER_HOST is {docker_host}, and no Docker Engine answers there.",
            "Unset DOCKER_HOST to use the engine of this machine, or start that one.",
            PRECONDITION,
        )
    start = (
        "`sudo systemctl start docker`" if has_systemd else "`./slipway install-docker` (it starts dockerd)"
    )
    return Problem(
        "The Docker Engine does not answer: " + (said.strip().splitlines() or ["no reason given"])[-1],
        f"Start it with {start}, or in one go with `./slipway up --install-docker`.",
        PRECONDITION,
    )


def _has_systemd() -> bool:
    from infra.docker.system import has_systemd

    return has_systemd()


def _is_here() -> bool:
    host = docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").out.strip()
    return host.startswith("unix://") or not host


def containers(project: str) -> list[Container]:
    """The services' containers of a Compose project, running or not; runs of `docker compose run` are left
    out.
    """
    found = _inspect(f"{PROJECT}={project}")
    return [one for one in found if one.labels.get(ONE_OFF, "False") == "False" and one.service]


def notebooks(project: str) -> list[Container]:
    """The users' servers that the hub of this project started."""
    return [one for one in _inspect(f"{OUR_PROJECT}={project}") if one.labels.get(OUR_ROLE) == "notebook"]


def notebook_volumes(project: str) -> list[str]:
    """The names of the volumes that hold users' homes."""
    filters = ["--filter", f"label={OUR_PROJECT}={project}", "--filter", f"label={OUR_ROLE}=notebook"]
    return docker("volume", "ls", "--quiet", *filters).out.split()


def notebook_networks(project: str) -> list[str]:
    """The ids of the networks, one for each user's server, that the hub of this project has made."""
    filters = ["--filter", f"label={OUR_PROJECT}={project}", "--filter", f"label={OUR_ROLE}=notebook"]
    return docker("network", "ls", "--quiet", "--no-trunc", *filters).out.split()


def volumes(project: str) -> list[str]:
    """The names of the volumes that Compose made for the project."""
    return docker("volume", "ls", "--quiet", "--filter", f"label={PROJECT}={project}").out.split()


def image_ids(names: list[str]) -> dict[str, str]:
    """The ids of those images that are on the engine, by the names asked for."""
    answer = docker("image", "inspect", *names) if names else Answer(0, "[]", "")
    ids = {}
    for image in _json(answer.out) or []:
        known_as = set(image.get("RepoTags") or []) | set(image.get("RepoDigests") or [])
        ids.update({name: image["Id"] for name in names if with_tag(name) in known_as})
    # The engine lists an image of its default registry without the host that it may have been asked for with.
    for name in names:
        if name not in ids and "." in name.split("/")[0] and "/" in name:
            one = docker("image", "inspect", "--format", "{{.Id}}", name)
            ids.update({name: one.out.strip()} if one.ok else {})
    return ids


def with_tag(name: str) -> str:
    """The name as the engine lists it: `postgres` is `postgres:latest`."""
    has_tag = ":" in name.rsplit("/", 1)[-1] or "@" in name
    return name if has_tag else f"{name}:latest"


def memory_of(ids: list[str]) -> dict[str, str]:
    """Memory in use by container id, as the engine writes it (`182.4MiB / 512MiB`)."""
    if not ids:
        return {}
    answer = docker("stats", "--no-stream", "--no-trunc", "--format", "{{.ID}}\t{{.MemUsage}}", *ids)
    return dict(line.split("\t", 1) for line in answer.out.splitlines() if "\t" in line)


def log_of(container: str, lines: int) -> list[str]:
    """The last lines a container wrote, to stdout or stderr."""
    answer = docker("logs", "--tail", str(lines), container)
    return (answer.out + answer.err).splitlines()[-lines:]


def passes_its_check(container: str) -> bool:
    """Runs the container's own healthcheck now; one without is well if it runs."""
    form = "{{json .Config.Healthcheck}}\t{{.State.Running}}"
    check, _, running = docker("inspect", "--format", form, container).out.strip().partition("\t")
    how, *words = (_json(check) or {}).get("Test") or ["NONE"]
    if how == "NONE" or running != "true":
        return running == "true"
    program = words if how == "CMD" else ["/bin/sh", "-c", *words]
    return docker("exec", container, *program, seconds=30).ok


def publishers(port: int) -> list[str]:
    """The names of running containers, of any project, that hold this port of the machine."""
    return docker("ps", "--filter", f"publish={port}", "--format", "{{.Names}}").out.split()


def _inspect(label: str) -> list[Container]:
    ids = docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}").out.split()
    # One that vanishes between the two calls is left out of the answer, which is right.
    facts = _json(docker("inspect", "--type", "container", *ids).out) if ids else []
    return [container_of(fact) for fact in facts or []]


def container_of(fact: Mapping[str, Any]) -> Container:
    """One entry of `docker inspect`."""
    state, labels = fact["State"], fact["Config"].get("Labels") or {}
    published = (fact.get("NetworkSettings") or {}).get("Ports") or {}
    return Container(
        id=fact["Id"],
        name=fact["Name"].lstrip("/"),
        service=labels.get(SERVICE, ""),
        state=state["Status"],
        health=(state.get("Health") or {}).get("Status", "").replace("none", ""),
        exit_code=state.get("ExitCode", 0),
        restarts=fact.get("RestartCount", 0),
        started_at=state.get("StartedAt", ""),
        finished_at=state.get("FinishedAt", ""),
        image=fact["Config"].get("Image", ""),
        image_id=fact.get("Image", ""),
        config_hash=labels.get(CONFIG_HASH, ""),
        ports={
            int(b["HostPort"]): b["HostIp"]
            for ports in published.values()
            for b in ports or []
            if b["HostPort"]
        },
        labels=labels,
        error=state.get("Error", ""),
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except json.JSONDecodeError:
        return None


def version_of(text: str) -> tuple[int, int]:
    """Major and minor number of `20.10.24+dfsg1`, `v2.40.3`, `2.26.1-4`; (0, 0) if there are none."""
    match = re.match(r"v?(\d+)(?:\.(\d+))?", text.strip())
    return (int(match.group(1)), int(match.group(2) or 0)) if match else (0, 0)


def plugin_version(name: str) -> str | None:
    """What `docker compose version` or `docker buildx version` says, shortened; None if the plug-in is
    missing.
    """
    if name == "compose":
        answer = docker("compose", "version", "--short")
        return answer.out.strip() if answer.ok else None
    answer = docker(name, "version")
    words = answer.out.split()
    return words[1] if answer.ok and len(words) > 1 else None
