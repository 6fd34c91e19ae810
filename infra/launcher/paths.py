"""Where the checkout is and where the launcher keeps what it notes down."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOTENV = ROOT / ".env"
EXAMPLE = ROOT / ".env.example"
STATE = ROOT / ".slipway"
"""Notes, logs and the tests' environment. Never committed; deleting it loses nothing but time."""
LOGS = STATE / "logs"


def ensure_state() -> None:
    """Makes .slipway/ and .slipway/logs/ where they are missing."""
    LOGS.mkdir(parents=True, exist_ok=True)


def short(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    try:
        return str(path.relative_to(ROOT))
    except ValueError:
        return str(path)
