"""Starts the gate, or says in one sentence what is wrong. Not where anything is decided."""

from __future__ import annotations

import sys

import uvicorn
from pydantic import ValidationError

from dockergate.app import create_app
from dockergate.settings import Settings, explain


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        print(f"dockergate: {explain(error)}", file=sys.stderr)
        return 1
    uvicorn.run(
        create_app(settings),
        host=settings.dockergate_host,
        port=settings.dockergate_port,
        access_log=False,
        server_header=False,
        log_level="warning",
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
