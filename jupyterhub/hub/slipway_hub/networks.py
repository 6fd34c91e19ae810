"""A network for each running notebook server, on which it meets the gateway and nobody else it could call.

The machine has no address on such a network, so nothing of the machine is reached through it. The services
that must reach the server, or be reached by it, are joined to it; those that were started anew are joined
again, and a network whose server is gone is removed. Which containers those are is told by their Compose
labels.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound

from slipway_hub.settings import Settings

SECONDS_BETWEEN_LOOKS = 3
ADDRESSES_EACH = 28
"""The prefix length: 13 addresses, of which five are used."""
COMPOSE_PROJECT, COMPOSE_SERVICE = "com.docker.compose.project", "com.docker.compose.service"

# The proxy and the hub reach the server; only the gateway and the way out are called by it. Names are for
# those two alone: the gateway asks for `proxy` too, and must not be given an address on a user's network,
# where the proxy does not listen.
JOINING: dict[str, list[str]] = {"gateway": ["gateway"], "proxy": [], "hub": []}
WAY_OUT: dict[str, list[str]] = {"egress": ["egress"]}

log = logging.getLogger("jupyterhub.networks")


class NoRoom(Exception):
    """Every part of NOTEBOOK_SUBNETS is taken."""


def free_subnets(within: ipaddress.IPv4Network, taken: Iterable[str]) -> Iterator[ipaddress.IPv4Network]:
    """The parts of `within` that overlap nothing that is taken, lowest first."""
    others = sorted(
        (one for text in taken if (one := ipaddress.ip_network(text, strict=False)).overlaps(within)),
        key=lambda one: int(one.network_address),
    )
    for part in within.subnets(new_prefix=max(ADDRESSES_EACH, within.prefixlen)):
        while others and others[0].broadcast_address < part.network_address:
            others.pop(0)
        if not any(part.overlaps(one) for one in others):
            yield part


class ServerNetworks:
    """The networks of one project's notebook servers. Safe to use from several threads."""

    def __init__(self, settings: Settings, engine: docker.APIClient | None = None) -> None:
        self._settings, self._engine = settings, engine
        self._labels = {"slipway.project": settings.notebook_name_prefix, "slipway.role": "notebook"}
        self._services = {**JOINING, **(WAY_OUT if settings.notebook_internet else {})}
        self._one_at_a_time = threading.RLock()
        self._starting: set[str] = set()
        self._keeper: threading.Thread | None = None

    @property
    def engine(self) -> docker.APIClient:
        """Found by DOCKER_HOST, else by the engine's socket."""
        if self._engine is None:
            self._engine = docker.from_env(version="auto").api
        return self._engine

    def make(self, name: str) -> None:
        """Ensures that the network is there and that everybody who belongs there has joined it. It stays,
        server or not, until `started` or `remove` is called.
        """
        with self._one_at_a_time:
            self._starting.add(name)
            found = self._found(name) or self._create(name)
            self._join(found, self._containers())

    def started(self, name: str) -> None:
        """From now on the network ends with its server."""
        with self._one_at_a_time:
            self._starting.discard(name)

    def remove(self, name: str) -> None:
        with self._one_at_a_time:
            self._starting.discard(name)
            if found := self._found(name):
                self._remove(found, self._containers())

    def look(self) -> None:
        """Joins who is missing, removes what is left over."""
        with self._one_at_a_time:
            networks, containers = self._all(), self._containers()
            alive = {name for one in containers if is_server(one) for name in networks_of(one)}
            for found in networks:
                if found["Name"] in alive | self._starting:
                    self._join(found, containers)
                else:
                    self._remove(found, containers)

    def keep(self) -> None:
        """Looks every few seconds from now on, for as long as this process lives."""
        with self._one_at_a_time:
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep, name="networks", daemon=True)
                self._keeper.start()

    def _keep(self) -> None:
        pause, said = threading.Event(), ""
        while True:
            try:
                self.look()
                said = ""
            except (DockerException, OSError) as error:
                if said != str(error):  # once, and not every few seconds
                    log.warning("the users' networks could not be looked after: %s", error)
                said = str(error)
            pause.wait(SECONDS_BETWEEN_LOOKS)

    def _create(self, name: str) -> dict[str, Any]:
        taken = [
            pool["Subnet"]
            for network in self.engine.networks()
            for pool in (network["IPAM"].get("Config") or [])
        ]
        for subnet in free_subnets(self._settings.notebook_subnets, taken):
            with contextlib.suppress(Overlaps):
                return self._create_at(name, subnet)
        raise NoRoom(
            f"no network is free for {name} in {self._settings.notebook_subnets}; "
            "set NOTEBOOK_SUBNETS to a larger range in .env"
        )

    def _create_at(self, name: str, subnet: ipaddress.IPv4Network) -> dict[str, Any]:
        pool = docker.types.IPAMPool(subnet=str(subnet))
        try:
            made = self.engine.create_network(
                name,
                driver="bridge",
                internal=True,
                # Without an address of the machine on the bridge nothing of the machine is on this network.
                options={"com.docker.network.bridge.inhibit_ipv4": "true"},
                ipam=docker.types.IPAMConfig(pool_configs=[pool]),
                labels=self._labels,
                check_duplicate=True,
            )
        except APIError as error:
            if "overlap" in str(error.explanation).lower():
                raise Overlaps from error
            raise
        log.info("made the network %s at %s", name, subnet)
        return {"Id": made["Id"], "Name": name}

    def _join(self, network: dict[str, Any], containers: list[dict[str, Any]]) -> None:
        for one in containers:
            service = service_of(one)
            if service in self._services and running(one) and network["Name"] not in networks_of(one):
                try:
                    self.engine.connect_container_to_network(
                        one["Id"], network["Id"], aliases=self._services[service]
                    )
                except APIError as error:
                    # It joined meanwhile, or went away; the next look sees which.
                    log.warning("%s did not join %s: %s", service, network["Name"], error.explanation)

    def _remove(self, network: dict[str, Any], containers: list[dict[str, Any]]) -> None:
        # A stopped container too: it could not be started again if its network were gone.
        for one in containers:
            if network["Name"] in networks_of(one):
                with contextlib.suppress(APIError):
                    self.engine.disconnect_container_from_network(one["Id"], network["Id"], force=True)
        with contextlib.suppress(NotFound):
            self.engine.remove_network(network["Id"])
        log.info("removed the network %s", network["Name"])

    def _found(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self._all() if one["Name"] == name), None)

    def _all(self) -> list[dict[str, Any]]:
        every = self.engine.networks(filters={"label": [f"{k}={v}" for k, v in self._labels.items()]})
        return [one for one in every if (one.get("Labels") or {}).items() >= self._labels.items()]

    def _containers(self) -> list[dict[str, Any]]:
        """Those of this project, running or not: its services and its users' servers."""
        ours = self._settings.notebook_name_prefix
        return [
            one
            for one in self.engine.containers(all=True)
            if ours in (one["Labels"].get(COMPOSE_PROJECT), one["Labels"].get("slipway.project"))
        ]


class Overlaps(Exception):
    """Something that the engine's list does not show has these addresses."""


def is_server(container: dict[str, Any]) -> bool:
    return container["Labels"].get("slipway.role") == "notebook"


def service_of(container: dict[str, Any]) -> str:
    return container["Labels"].get(COMPOSE_SERVICE, "")


def running(container: dict[str, Any]) -> bool:
    return container.get("State") == "running"


def networks_of(container: dict[str, Any]) -> set[str]:
    return set((container.get("NetworkSettings") or {}).get("Networks") or {})
