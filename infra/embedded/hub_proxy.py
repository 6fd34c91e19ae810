"""Becomes Traefik, the proxy before the hub and the notebooks. The hub writes the routes into a file; so a
proxy that starts again has them at once, and needs no secret of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def main() -> None:
    # Traefik does not wait for a file that is not there yet.
    Path(os.environ["PROXY_ROUTES"]).touch()
    program = str(Path(os.environ["PLATFORM_ENV"]) / "bin/traefik")
    os.execv(program, [program, *options(os.environ)])  # noqa: S606


def options(environment: Mapping[str, str]) -> list[str]:
    door, orders = "--entrypoints.notebooks", "--entrypoints.orders"
    return [
        f"{door}.address={environment['PROXY_IP']}:{environment['PROXY_PORT']}",
        # The gateway has said who asks and how.
        f"{door}.forwardedheaders.trustedips=127.0.0.1/32",
        # A big upload over a slow line takes longer than a minute.
        f"{door}.transport.respondingtimeouts.readtimeout=0",
        f"{orders}.address={environment['PROXY_API_IP']}:{environment['PROXY_API_PORT']}",
        f"--providers.file.filename={environment['PROXY_ROUTES']}",
        "--providers.file.watch=true",
        # The hub asks it whether a route is in force, with a password that is in the file as a hash.
        "--api=true",
        "--api.dashboard=false",
        f"--log.level={environment.get('PROXY_LOG_LEVEL') or 'warn'}",
        "--log.nocolor=true",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]


if __name__ == "__main__":
    main()
