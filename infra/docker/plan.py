"""What is missing for `docker compose up` and which packages bring it. Installs nothing itself."""

from __future__ import annotations

from typing import NamedTuple

from infra.docker.system import Distribution, succeeds, which

# Debian 12 has no Compose v2. The two packages of the next suite need only a libc6 that it has as well.
SUITE_WITH_COMPOSE = "trixie"


class Missing(NamedTuple):
    """What this machine lacks."""

    engine: bool
    client: bool
    compose: bool
    buildx: bool
    iptables: bool = False
    """dockerd calls this program; with --no-install-recommends nothing else brings it."""

    def anything(self) -> bool:
        return any(self)


class Plan(NamedTuple):
    """Packages to install; each list is empty if there is nothing to do."""

    packages: tuple[str, ...]
    """From the suites that the machine is set up with."""
    from_next_suite: tuple[str, ...] = ()
    """From `SUITE_WITH_COMPOSE` on the same mirror; nothing else is taken from there."""


def look() -> Missing:
    """Looks at this machine."""
    client = which("docker") is not None
    return Missing(
        engine=which("dockerd") is None,
        client=not client,
        compose=not (client and succeeds(["docker", "compose", "version"])),
        buildx=not (client and succeeds(["docker", "buildx", "version"])),
        iptables=which("iptables") is None,
    )


def plan_for(distribution: Distribution, missing: Missing, dockers_own: bool = False) -> Plan:
    """The packages for what is missing.

    `dockers_own`: the engine that is there came from Docker's own repository; its plug-ins go with it, the
    distribution's packages would be at odds with them.
    """
    packages: list[str] = []
    if missing.engine:
        packages.append("docker.io")
    if missing.iptables:
        packages.append("iptables")
    # In Debian 13 the client is a package of its own; elsewhere it comes with the engine.
    if missing.client and distribution.id == "debian" and distribution.version[0] >= 13:
        packages.append("docker-cli")
    elif missing.client and not missing.engine:
        packages.append("docker-ce-cli" if dockers_own else "docker.io")
    compose, buildx = plugin_names(distribution, dockers_own)
    plugins = [name for name, lacking in ((compose, missing.compose), (buildx, missing.buildx)) if lacking]
    if distribution.id == "debian" and distribution.version[0] == 12 and not dockers_own:
        return Plan(tuple(packages), tuple(plugins))
    return Plan((*packages, *plugins))


def plugin_names(distribution: Distribution, dockers_own: bool) -> tuple[str, str]:
    if dockers_own:
        return "docker-compose-plugin", "docker-buildx-plugin"
    if distribution.id == "ubuntu":
        return "docker-compose-v2", "docker-buildx"
    return "docker-compose", "docker-buildx"


def tell(distribution: Distribution, plan: Plan, systemd: bool, mirror: str = "") -> str:
    """The plan in words, one line for each thing that will be done."""
    lines = [f"On {distribution.name} this will:"]
    if plan.packages:
        lines.append(f"  - install with apt: {' '.join(plan.packages)}")
    if plan.from_next_suite:
        lines.append(
            f"  - fetch {' '.join(plan.from_next_suite)} from Debian's {SUITE_WITH_COMPOSE} on this "
            f"machine's own mirror"
        )
        lines.append(f"    ({mirror}), and nothing else from there; the apt sources stay as they are")
    lines.append(
        "  - start the service docker, now and at boot"
        if systemd
        else "  - start dockerd in a session of its own (no systemd runs here), now and until the machine "
        "stops"
    )
    lines.append("Nothing is removed, and no package is upgraded unless one of these needs it.")
    return "\n".join(lines)
