"""Asks and orders Docker Compose. Compose reads compose.yaml and .env itself, from the checkout's root."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infra.launcher.engine import with_tag
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.shell import Answer, Background, ask, lines_of, show


class Service(NamedTuple):
    """What compose.yaml says of one service, as far as the launcher needs it."""

    name: str
    image: str
    """With its tag, as the engine lists it."""
    is_job: bool
    """Runs once and ends; the others run on."""
    build: Mapping[str, Any] | None
    """The `build` section with everything filled in, or None if the image is pulled."""
    ports: tuple[int, ...]
    """Ports of the machine that it publishes."""


class Plan(NamedTuple):
    """compose.yaml with all overrides and variables applied."""

    project: str
    services: tuple[Service, ...]
    """Those that are to run; one with scale 0 is left out."""

    def run_as_pulled(self) -> list[str]:
        """Images of services without a build."""
        return sorted(
            {service.image for service in self.services if service.build is None} - set(self.built_images())
        )

    def pulled_images(self) -> list[str]:
        """Images that others made: those of services without a build, and the bases of our own builds."""
        names = set(self.run_as_pulled())
        for service in self.services:
            arguments = (service.build or {}).get("args") or {}
            names |= {
                with_tag(value) for name, value in arguments.items() if name.endswith("_IMAGE") and value
            }
        return sorted(names)

    def built_images(self) -> list[str]:
        return sorted({service.image for service in self.services if service.build is not None})


def command(project: str, *arguments: str) -> list[str]:
    """The command line. The project is named in it, because the name in .env and in the environment come to
    the same only if everybody asks for it the same way."""
    return ["docker", "compose", "--project-name", project, *arguments]


def plan(project: str) -> Plan:
    """Reads the configuration, or a Problem with Compose's own words."""
    answer = ask(command(project, "config", "--format", "json"))
    if not answer.ok:
        raise Problem(
            "Compose cannot read the configuration:\n    " + answer.last_words().replace("\n", "\n    "),
            "Correct the line it names in compose.yaml, in .env, or in the environment.",
            PRECONDITION,
        )
    return plan_of(json.loads(answer.out))


def plan_of(config: Mapping[str, Any]) -> Plan:
    """Parses the answer of `docker compose config --format json`."""
    described = config.get("services") or {}
    # A service that another one waits for to END is a job, whatever else is written on it.
    awaited = {
        name
        for service in described.values()
        for name, condition in (service.get("depends_on") or {}).items()
        if condition.get("condition") == "service_completed_successfully"
    }
    services = []
    for name, service in described.items():
        if scale_of(service) == 0:
            continue
        services.append(
            Service(
                name=name,
                image=with_tag(service.get("image") or f"{config['name']}-{name}"),
                is_job=name in awaited or service.get("restart") == "no",
                build=service.get("build"),
                ports=published(service),
            )
        )
    return Plan(config["name"], tuple(services))


def published(service: Mapping[str, Any]) -> tuple[int, ...]:
    """Ports of the machine; a range, of which the engine picks one that is free, needs no look."""
    texts = (str(port.get("published", "")) for port in service.get("ports") or [])
    return tuple(int(text) for text in texts if text.isdigit())


def scale_of(service: Mapping[str, Any]) -> int:
    scale = service.get("scale")
    if scale is None:
        scale = (service.get("deploy") or {}).get("replicas")
    return 1 if scale is None else int(scale)


def hashes(project: str) -> dict[str, str]:
    """Compose's own digest of each service's configuration, which it also writes on the containers it
    makes.
    """
    return parse_hashes(ask(command(project, "config", "--hash", "*")).out)


def parse_hashes(text: str) -> dict[str, str]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def build(project: str, log: Path) -> Iterator[str]:
    """Builds every image; yields BuildKit's plain progress."""
    return lines_of(command(project, "build"), log)


def start(project: str, log: Path) -> Background:
    """Starts everything in the background; ends when the last service has been started."""
    return Background(command(project, "up", "--detach", "--no-build"), log)


def stop(project: str) -> Answer:
    """Stops the containers and keeps them, with their logs."""
    return ask(command(project, "stop"), seconds=180)


def scale(project: str, service: str, count: int) -> Answer:
    """So many containers of a service; those that there are stay as they are, new ones are of the present
    options and image.
    """
    what = ["--no-deps", "--no-recreate", "--no-build", "--scale", f"{service}={count}", service]
    return ask(command(project, "up", "--detach", *what), seconds=180)


def restart(project: str, service: str) -> Answer:
    """Stops and starts a service's containers in place."""
    return ask(command(project, "restart", "--no-deps", service), seconds=180)


def remove(project: str, with_volumes: bool) -> Answer:
    """Stops and removes containers and networks; the named volumes only if asked to."""
    extra = ["--volumes"] if with_volumes else []
    return ask(command(project, "down", "--remove-orphans", *extra), seconds=300)


def execute(project: str, service: str, arguments: Sequence[str], seconds: float = 60) -> Answer:
    """Runs a program inside a service's container."""
    return ask(command(project, "exec", "--no-TTY", service, *arguments), seconds)


def show_logs(project: str, services: Sequence[str], follow: bool, tail: str) -> int:
    """Prints logs on this terminal; returns Compose's exit status."""
    extra = ["--follow"] if follow else []
    return show(command(project, "logs", "--tail", tail, *extra, *services))
