"""Where the checkout is and where the launcher keeps what it notes down."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOTENV = ROOT / ".env"
EXAMPLE = ROOT / ".env.example"
STATE = Path(os.path.abspath(os.path.expanduser(os.environ.get("SLIPWAY_HOME") or str(ROOT / ".slipway"))))
"""Notes, logs, Python environments, and in embedded/ the data of platforms that run without Docker."""
LOGS = STATE / "logs"


def ensure_state() -> None:
    """Makes STATE and its logs/ where they are missing."""
    LOGS.mkdir(parents=True, exist_ok=True)


def short(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)
