"""Starts the portal, or says in one sentence which variable is wrong."""

from __future__ import annotations

import sys

import uvicorn
from pydantic import ValidationError

from slipway_portal.app import create_app
from slipway_portal.settings import Settings, explain


def main() -> int:
    try:
        settings = Settings()
    except ValidationError as error:
        print(f"portal: {explain(error)}", file=sys.stderr)
        return 1
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        # Longer than the gateway keeps an idle connection: it must not send into one that is being closed.
        timeout_keep_alive=150,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
