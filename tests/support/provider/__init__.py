"""A real OpenID Connect provider, Canaille, as a process: it needs versions of its own, and so has an
environment of its own, made from a locked list when a test first asks for it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.installation import REPOSITORY
from tests.support.processes import Processes, free_port

HERE = Path(__file__).parent
CLIENT, CLIENT_SECRET = "slipway", "what the provider knows the platform by"


class Person(NamedTuple):
    name: str
    groups: tuple[str, ...] = ()
    display_name: str = ""
    """The claim preferred_username."""

    @property
    def email(self) -> str:
        return f"{self.name}@example.org"

    @property
    def password(self) -> str:
        return f"the password of {self.name}"


class Provider:
    """Knows `people`, and the platform at `platform_url` as a client."""

    def __init__(self, folder: Path, platform_url: str, people: list[Person]) -> None:
        self.folder, self.platform_url, self.people = folder, platform_url, people
        self.port = free_port()
        # By a name: browsers take `localhost` for as safe as HTTPS.
        self.url = f"http://localhost:{self.port}"
        self.processes = Processes(folder)
        self.bin = environment() / "bin"
        (folder / "provider.toml").write_text(
            f"""
SECRET_KEY = "of one test"
SERVER_NAME = "localhost:{self.port}"
PREFERRED_URL_SCHEME = "http"
[CANAILLE]
DATABASE = "sql"
CAPTCHA_ENABLED = false
[CANAILLE_SQL]
DATABASE_URI = "sqlite:///{folder}/provider.sqlite"
PASSWORD_HASH_PARAMS = {{ "pbkdf2_sha512__rounds" = 1000 }}
[CANAILLE_OIDC]
REQUIRE_NONCE = false
TRUSTED_DOMAINS = ["localhost"]
"""
        )

    def start(self) -> None:
        self.knows(*self.people)
        self.process = self.processes.start(
            "provider",
            [str(self.bin / "canaille"), "run", "--bind", f"127.0.0.1:{self.port}"],
            environment=self.settings,
        )
        self.processes.wait_for("provider", self.process, f"{self.url}/.well-known/openid-configuration")

    def stop(self) -> None:
        self.processes.stop_all()

    def knows(self, *people: Person, client_secret: str = CLIENT_SECRET) -> None:
        """Makes or changes people: afterwards they are in these groups and no other."""
        told = {
            "client": {
                "client_id": CLIENT,
                "client_secret": client_secret,
                "client_name": "Slipway",
                "client_uri": self.platform_url,
                "redirect_uris": [f"{self.platform_url}/hub/oauth_callback"],
                "post_logout_redirect_uris": [f"{self.platform_url}/"],
            },
            "people": [{**one._asdict(), "email": one.email, "password": one.password} for one in people],
        }
        done = subprocess.run(
            [str(self.bin / "python"), str(HERE / "company.py")],
            input=json.dumps(told),
            env={**os.environ, **self.settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    @property
    def settings(self) -> dict[str, str]:
        return {"CANAILLE_CONFIG": str(self.folder / "provider.toml"), "PYTHONPATH": ""}


def environment() -> Path:
    """The provider's virtual environment, under .slipway; made anew when the list has changed."""
    wanted = HERE / "requirements.txt"
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = REPOSITORY / ".slipway" / f"venv-provider-{digest}"
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [folder / "bin/pip", "install", "--quiet", "--require-hashes", "--requirement", wanted]
        subprocess.run(pip, check=True)
        (folder / "complete").touch()
    return folder
