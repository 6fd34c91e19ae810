"""Where one embedded platform keeps its data, what it rewrites at each start, and its logs."""

from __future__ import annotations

import getpass
import json
import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from infra.launcher.paths import STATE

CONSUMERS = ("gateway", "auth", "portal", "proxy", "hub", "mlflow", "serving")
"""Services with secrets of their own."""


class Instance(NamedTuple):
    """A platform, by the name that COMPOSE_PROJECT_NAME gives it."""

    project: str
    folder: Path

    @property
    def data(self) -> Path:
        """All that must be kept; the rest of the folder is made anew at each start."""
        return self.folder / "data"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def homes(self) -> Path:
        """A folder for each user of the hub: their notebooks."""
        return self.data / "homes"

    @property
    def login_links(self) -> Path:
        return self.data / "login-links"

    def exists(self) -> bool:
        """True once it has been started for the first time."""
        return self.data.is_dir()

    def ensure(self) -> None:
        """Makes the folders, for this account alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        folders = ["hub", "auth", "mlflow/artifacts", "serving/cache", "homes", "login-links", "secrets"]
        for folder in (self.run, self.run / "caddy", self.logs, *(self.data / name for name in folders)):
            folder.mkdir(parents=True, exist_ok=True)

    def note(self, name: str) -> Any:
        """What run/NAME.json says; None if it is missing or was cut short."""
        try:
            return json.loads((self.run / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write_note(self, name: str, content: Any) -> None:
        """Whole or not at all."""
        path = self.run / f"{name}.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, path)


def instance_of(project: str) -> Instance:
    return Instance(project, STATE / "embedded" / project)


def instances() -> list[Instance]:
    """All that were ever started from this SLIPWAY_HOME."""
    folder = STATE / "embedded"
    return [Instance(one.name, one) for one in sorted(folder.iterdir())] if folder.is_dir() else []


def administrator(values: Mapping[str, str]) -> str:
    """ADMIN_USER, else the name of the account that starts the platform, made to fit the hub's rule."""
    return values.get("ADMIN_USER") or fitting_name(account())


def account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without an entry in the system's list
        return ""


def fitting_name(name: str) -> str:
    """Small letters, digits and . _ @ + - as the hub wants them; `admin` if nothing is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._@+-]", "", plain).lstrip("._@+-")[:64] or "admin"
