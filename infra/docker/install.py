"""`./slipway install-docker`: Docker Engine, Compose v2 and Buildx on Debian 12, 13, Ubuntu 22.04 or newer.

Says what it will do before it does it. Run again, it finds all in place and only starts a stopped daemon.
Standard library only. Needs root. Also: `python3 -m infra.docker.install [--yes]`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from infra.docker.apt_sources import Source, mirror_of, read_sources
from infra.docker.daemon import answers, ensure_daemon
from infra.docker.plan import SUITE_WITH_COMPOSE, Plan, look, plan_for, tell
from infra.docker.system import (
    Distribution,
    Refusal,
    has_systemd,
    read_os_release,
    require_root,
    run,
    succeeds,
    the_distribution,
)

COMMAND = "./slipway install-docker"
APT = ("apt-get", "--quiet", "--yes", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120")
UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "a"}


def main(assume_yes: bool = False) -> int:
    """Installs what is missing. 0: an engine answers; 1: it failed, stderr says why; 2: not wanted."""
    try:
        return install(assume_yes)
    except Refusal as refusal:
        print(f"install-docker: {refusal}", file=sys.stderr)
        return 1


def install(assume_yes: bool) -> int:
    missing = look()
    if not missing.anything() and answers():
        print("Docker Engine, Compose and Buildx are here, and the engine answers: nothing to do.")
        return 0
    distribution = the_distribution(read_os_release())
    require_root("Installing Docker" if missing.anything() else "Starting the Docker daemon", COMMAND)
    if missing.anything():
        plan = plan_for(distribution, missing, dockers_own=succeeds(["dpkg", "--status", "docker-ce"]))
        mirror = the_mirror(distribution) if plan.from_next_suite else None
        print(tell(distribution, plan, has_systemd(), mirror.uri if mirror else ""), flush=True)
        if not assume_yes and not agreed():
            print("Nothing was done.")
            return 2
        carry_out(plan, mirror)
    ensure_daemon(lambda line: print(line, flush=True))
    check(distribution)
    print("Docker is ready: " + versions())
    tell_about_the_group()
    return 0


def agreed() -> bool:
    if not sys.stdin.isatty():
        raise Refusal(f"Nobody is there to ask. Say yes beforehand: {COMMAND} --yes")
    return input("Go on? [y/N] ").strip().lower() in ("y", "yes")


def the_mirror(distribution: Distribution) -> Source:
    mirror = mirror_of(read_sources(), distribution.codename)
    if mirror is None:
        raise Refusal(
            f"No network mirror with {distribution.codename} main is in /etc/apt/sources.list or "
            f"sources.list.d; Compose "
            f"v2 is fetched from there. Add your site's Debian mirror to them, then run {COMMAND} again."
        )
    return mirror


def carry_out(plan: Plan, mirror: Source | None) -> None:
    """Everything is fetched before anything is installed, and all of it is installed in one go."""
    environment = {**os.environ, **UNATTENDED}
    print("reading the package lists", flush=True)
    # One unreachable third-party source must not stop this: if a package is missing for it, the next step
    # says so.
    if not succeeds([*APT, "update"], seconds=300):
        print("  not every apt source could be read; going on with those that could", flush=True)
    with tempfile.TemporaryDirectory(prefix="slipway-docker-") as folder:
        os.chmod(folder, 0o755)  # noqa: S103 - apt reads the packages as its own user
        files = fetch(plan.from_next_suite, mirror, Path(folder)) if mirror else []
        print(f"installing {' '.join((*plan.packages, *plan.from_next_suite))}", flush=True)
        run(
            [*APT, "install", "--no-install-recommends", "--no-remove", *plan.packages, *map(str, files)],
            "Nothing was started. Where a package is not found: on Ubuntu turn `universe` on "
            "(add-apt-repository "
            "universe); where dpkg was interrupted: dpkg --configure -a && apt-get --fix-broken install. "
            "Then run "
            f"{COMMAND} again.",
            env=environment,
            timeout=1800,
        )


def fetch(packages: Sequence[str], mirror: Source, folder: Path) -> list[Path]:
    """Downloads packages of the newer suite; its lists are kept apart, so apt never weighs that suite."""
    print(f"fetching {' '.join(packages)} from {SUITE_WITH_COMPOSE}", flush=True)
    sources, lists = folder / "next.sources", folder / "lists"
    sources.write_text(mirror.with_suites([SUITE_WITH_COMPOSE]).stanza(), encoding="utf-8")
    (lists / "partial").mkdir(parents=True)
    apart = [
        *APT,
        *("-o", f"Dir::Etc::SourceList={sources}"),
        *("-o", "Dir::Etc::SourceParts=-"),
        *("-o", "Dir::Etc::Preferences=-"),
        *("-o", "Dir::Etc::PreferencesParts=-"),
        *("-o", f"Dir::State::Lists={lists}"),
        *("-o", "Dir::Cache::PkgCache="),
        *("-o", "Dir::Cache::SrcPkgCache="),
        *("-o", "APT::Sandbox::User=root"),
        *("-o", "APT::Update::Error-Mode=any"),
    ]
    remedy = (
        f"Nothing was changed. See whether {mirror.uri} is reached from here and has {SUITE_WITH_COMPOSE}."
    )
    run([*apart, "update"], remedy, cwd=folder, timeout=300)
    run([*apart, "download", *packages], remedy, cwd=folder, timeout=300)
    return sorted(folder.glob("*.deb"))


def check(distribution: Distribution) -> None:
    """Both plug-ins answer the `docker` that is first on PATH, whoever put it there."""
    for plugin, name in (("compose", "Compose v2"), ("buildx", "Buildx")):
        run(
            ["docker", plugin, "version"],
            f"{name} was installed on {distribution.name}, but the first `docker` on PATH does not find it. "
            f"Link it: mkdir "
            f"-p /usr/local/lib/docker/cli-plugins && ln -s /usr/libexec/docker/cli-plugins/docker-{plugin} "
            "/usr/local/lib/docker/cli-plugins/",
            timeout=30,
        )


def versions() -> str:
    engine = run(
        ["docker", "version", "--format", "{{.Server.Version}}"], "Look at: docker version", timeout=30
    )
    compose = run(["docker", "compose", "version", "--short"], "Look at: docker compose version", timeout=30)
    return f"Engine {engine.stdout.strip()}, Compose {compose.stdout.strip()}"


def tell_about_the_group() -> None:
    user = os.environ.get("SUDO_USER", "")
    if user and user != "root":
        print(
            f"To use it without sudo, which makes {user} as mighty as root: usermod -aG docker {user}, log "
            f"in again"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--yes", action="store_true", help="do not ask")
    sys.exit(main(parser.parse_args().yes))
