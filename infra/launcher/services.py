"""How each service is: what its container's facts mean, for a person and for `up` that waits. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from infra.launcher.compose import Service
from infra.launcher.engine import Container

# A service may lose a race at start and be restarted; one that comes back this often will not make it.
RESTARTS_THAT_ARE_TOO_MANY = 5

WAITING, WORKING, WELL, FAILED = "waiting", "working", "well", "failed"


class State(NamedTuple):
    service: str
    phase: str
    """WAITING for others, WORKING towards it, WELL, or FAILED."""
    words: str
    container: Container | None


def state_of(service: Service, container: Container | None, restarts_before: int = 0) -> State:
    """`restarts_before`: the container's count of restarts when one began to watch it."""
    phase, words = _judge(service, container, restarts_before)
    return State(service.name, phase, words, container)


def _judge(service: Service, container: Container | None, restarts_before: int) -> tuple[str, str]:
    if container is None:
        return WAITING, "not created yet"
    if container.state == "created":
        return (
            (FAILED, f"could not start: {container.error}")
            if container.error
            else (WAITING, "waits for others")
        )
    if service.is_job:
        if container.state == "running":
            return WORKING, "at work"
        if container.state == "exited" and container.exit_code == 0:
            return WELL, "done"
        return FAILED, _ended(container)
    crashes = container.restarts - restarts_before
    if crashes >= RESTARTS_THAT_ARE_TOO_MANY:
        return FAILED, f"crashes again and again ({_ended(container)})"
    if container.state == "running":
        if container.health == "unhealthy":
            return FAILED, "unhealthy"
        if container.health == "starting":
            return WORKING, f"starting, after {_times(crashes)}" if crashes else "starting"
        return WELL, container.health or "running"
    if container.state == "restarting":
        return WORKING, f"restarting ({_ended(container)})"
    if container.state == "exited":
        return FAILED, "stopped" if container.exit_code in (0, 143) else _ended(container)
    return FAILED, container.state


def _ended(container: Container) -> str:
    if container.exit_code == 137:
        return "killed, probably out of memory (exit 137)"
    return f"ended with exit {container.exit_code}"


def _times(count: int) -> str:
    return "1 crash" if count == 1 else f"{count} crashes"


def states_of(
    services: Iterable[Service], containers: Iterable[Container], restarts: Mapping[str, int] = {}
) -> list[State]:
    """One state for each service, the worst where it has several containers; jobs last, in the order they are
    given.

    `restarts`: counts of restarts by container id when one began to watch.
    """
    by_service: dict[str, list[Container]] = {}
    for container in containers:
        by_service.setdefault(container.service, []).append(container)
    states = []
    for service in sorted(services, key=lambda one: one.is_job):
        mine = by_service.get(service.name) or [None]  # type: ignore[list-item]
        each = [state_of(service, one, restarts.get(one.id, 0) if one else 0) for one in mine]
        states.append(min(each, key=lambda state: (FAILED, WAITING, WORKING, WELL).index(state.phase)))
    return states


def without_leftovers(states: Iterable[State], before: Iterable[Container]) -> list[State]:
    """The same states, but what had failed before and has not been touched since waits for its turn."""
    untouched = {(one.id, one.state, one.started_at) for one in before}
    return [
        state._replace(phase=WAITING, words="waits for its turn")
        if state.phase == FAILED
        and state.container
        and (state.container.id, state.container.state, state.container.started_at) in untouched
        else state
        for state in states
    ]


def all_well(states: Iterable[State]) -> bool:
    return all(state.phase == WELL for state in states)


def up_to_date(
    services: Iterable[Service],
    containers: Iterable[Container],
    hashes: Mapping[str, str],
    image_ids: Mapping[str, str],
) -> bool:
    """True if each container was made from the present configuration and the present image: nothing to do."""
    known = {service.name: service for service in services}
    return all(
        container.service in known
        and container.config_hash == hashes.get(container.service)
        and container.image_id == image_ids.get(known[container.service].image)
        for container in containers
    )
