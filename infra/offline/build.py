"""Builds every offline image that is missing or out of date; tells the variables that make Compose use them.

    python3 -m infra.offline.build [--refresh]

Needs a Docker Engine, and the Debian and PyPI mirrors that this machine is set up for; no container registry.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from infra.docker.daemon import answers
from infra.docker.system import Refusal
from infra.offline.base import ensure_base
from infra.offline.images import ensure_built

HERE = Path(__file__).resolve().parent
POSTGRES = "slipway-offline/postgres:17"
SEAWEEDFS = "slipway-offline/seaweedfs:4.48"
CADDY = "slipway-offline/caddy:2.11.7"


def build_all(log: Callable[[str], None], refresh: bool = False) -> dict[str, str]:
    """Variables for `.env`. `log` is told each step; `refresh` takes new packages where nothing else changed.

    Raises Refusal, whose text says what is wrong and what to do. What was built until then stays.
    """
    if not answers():
        raise Refusal("No Docker Engine answers. Start or install it with: ./slipway install-docker")
    base = ensure_base(log, refresh)
    for image in (POSTGRES, SEAWEEDFS, CADDY):
        ensure_built(image, HERE / image.partition("/")[2].partition(":")[0], base, log)
    return {
        "COMPOSE_FILE": "compose.yaml:infra/offline/compose.yaml",
        "BASE_IMAGE": base,
        "POSTGRES_IMAGE": POSTGRES,
        "MINIO_IMAGE": SEAWEEDFS,
        "GATEWAY_IMAGE": CADDY,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python3 -m infra.offline.build", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--refresh", action="store_true", help="take the mirror's newest packages")
    try:
        variables = build_all(
            lambda line: print(line, file=sys.stderr, flush=True), parser.parse_args().refresh
        )
    except Refusal as refusal:
        print(f"offline images: {refusal}", file=sys.stderr)
        return 1
    print("\n".join(f"{name}={value}" for name, value in variables.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
