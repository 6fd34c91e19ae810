"""A Compose stack of the tests' own, started and stopped by the launcher as an operator would."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import free_port

REPOSITORY = Path(__file__).parents[2]


class Stack:
    """The Compose stack behind a platform, for tests that stop, restart or look inside."""

    def __init__(self, project: str, **options: str) -> None:
        """Ports of its own, so that it runs beside others; `options` are variables of .env.example."""
        self.project = project
        ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
        self.options = {"COMPOSE_PROJECT_NAME": project, **ports, **options}
        self.url = f"http://localhost:{self.options['HTTP_PORT']}"
        self.environment = {**os.environ, "PUBLIC_URL": self.url, **self.options}

    def slipway(
        self, *arguments: str, check: bool = True, timeout: float = 1800
    ) -> subprocess.CompletedProcess[str]:
        return self._run([str(REPOSITORY / "slipway"), *arguments], check, timeout)

    def administrator(self) -> tuple[str, str]:
        """The name and the one-time password, from the lines `name …` and `password …`."""
        shown = dict(line.split() for line in self.slipway("admin-password").stdout.splitlines())
        return shown["name"], shown["password"]

    def compose(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", "compose", *arguments], check, timeout)

    def docker(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", *arguments], check, timeout)

    def _run(self, command: list[str], check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
        return done
