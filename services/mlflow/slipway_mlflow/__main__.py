"""`serve` runs the tracking server, `migrate` brings its databases up to date and exits, `healthcheck` asks
the running server for something only its database knows.
"""

from __future__ import annotations

import sys

from .health import healthcheck
from .migrating import migrate
from .serving import serve
from .settings import MissingSetting

COMMANDS = {"serve": serve, "migrate": migrate, "healthcheck": healthcheck}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in COMMANDS:
        print(f"usage: python -m slipway_mlflow {'|'.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[arguments[0]]()
    except MissingSetting as error:
        print(f"mlflow: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
