"""Starts the door-keeper, or says in one sentence what is missing. Not where anything is decided."""

from __future__ import annotations

import sys

import uvicorn
from pydantic import ValidationError

from doorkeeper.app import create_app
from doorkeeper.key_settings import read_key_settings
from doorkeeper.settings import Settings, explain


def main() -> int:
    try:
        settings, key_settings = Settings(), read_key_settings()
    except ValidationError as error:
        print(f"auth: {explain(error)}", file=sys.stderr)
        return 1
    # One process: logins under way are remembered in memory.
    uvicorn.run(
        create_app(settings, key_settings),
        host=settings.auth_host,
        port=settings.auth_port,
        access_log=False,
        # Longer than the gateway keeps an idle connection: it must not send into one that is being closed.
        timeout_keep_alive=150,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
