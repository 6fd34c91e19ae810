"""A platform of the tests' own, started and stopped by the launcher as an operator would. The two ways of
running it offer tests the same handles."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from tests.support.processes import free_port

REPOSITORY = Path(__file__).parents[2]
CHOOSE_A_WAY = {"up", "down", "status", "logs", "restart", "admin-password", "doctor"}


class Installation:
    """Ports of its own, so that it runs beside others; `options` are variables of .env.example."""

    way = ""
    prefix: Sequence[str] = ()
    """What the launcher is started by: another account, another network."""

    def __init__(self, project: str, checkout: Path = REPOSITORY, **options: str) -> None:
        self.project, self.checkout = project, checkout
        ports = {"HTTP_PORT": str(free_port()), "HTTPS_PORT": str(free_port())}
        self.options = {"COMPOSE_PROJECT_NAME": project, **ports, **options}
        self.url = f"http://localhost:{self.options['HTTP_PORT']}"
        self.environment = {**os.environ, "PUBLIC_URL": self.url, **self.options}

    def slipway(
        self, *arguments: str, check: bool = True, timeout: float = 1800
    ) -> subprocess.CompletedProcess[str]:
        way = [f"--{self.way}"] if arguments[0] in CHOOSE_A_WAY else []
        program = str(self.checkout / "slipway")
        return self._run([*self.prefix, program, arguments[0], *way, *arguments[1:]], check, timeout)

    def administrator(self) -> tuple[str, str]:
        """The name and the one-time password, from the lines `name …` and `password …`."""
        shown = dict(line.split() for line in self.slipway("admin-password").stdout.splitlines())
        return shown["name"], shown["password"]

    def running(self) -> list[str]:
        """What of it runs: containers or processes, users' servers included."""
        raise NotImplementedError

    def in_terminal(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        """A login shell where the user's server runs, as JupyterLab's terminal starts it."""
        raise NotImplementedError

    def logs(self) -> str:
        raise NotImplementedError

    def _run(
        self,
        command: list[str],
        check: bool,
        timeout: float,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=folder or self.checkout,
            env=environment or self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            said = f"{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{said}")
        return done


class Stack(Installation):
    """The Compose stack behind a platform, for tests that stop, restart or look inside."""

    way = "docker"

    def compose(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", "compose", *arguments], check, timeout)

    def docker(
        self, *arguments: str, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return self._run(["docker", *arguments], check, timeout)

    def running(self) -> list[str]:
        of_project = [
            f"label={label}={self.project}" for label in ("com.docker.compose.project", "slipway.project")
        ]
        return [
            name
            for one in of_project
            for name in self.docker("ps", "--format", "{{.Names}}", "--filter", one).stdout.split()
        ]

    def in_terminal(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        container = f"{self.project}-notebook-{user}"
        return self.docker("exec", container, "bash", "-lc", command, check=False)

    def logs(self) -> str:
        return self.compose("logs", "--no-color", "--timestamps").stdout


class Embedded(Installation):
    """The platform as processes of this account."""

    way = "embedded"

    @property
    def home(self) -> Path:
        return Path(self.environment.get("SLIPWAY_HOME") or self.checkout / ".slipway")

    @property
    def folder(self) -> Path:
        return self.home / "embedded" / self.project

    def processes(self) -> dict[int, dict[str, str]]:
        """The environment of each process that belongs to it, by process id."""
        found = {}
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except psutil.Error:
                continue
            if environment.get("SLIPWAY_INSTANCE") == str(self.folder):
                found[process.pid] = environment
        return found

    def up(self) -> str:
        """The link that logs the administrator in."""
        return re.search(r"http\S+one-time-login\S+", self.slipway("up").stdout).group()

    def services(self) -> dict[str, int]:
        """The processes that the supervisor started, by the service's name."""
        supervisor, found = self.supervisor(), self.processes()
        return {
            environment["SLIPWAY_SERVICE"]: number
            for number, environment in found.items()
            if "SLIPWAY_SERVICE" in environment and psutil.Process(number).ppid() == supervisor
        }

    def supervisor(self) -> int:
        return int((self.folder / "run/supervisord.pid").read_text())

    def damaged_databases(self) -> list[str]:
        """What SQLite finds wrong with any of them."""
        found = []
        for path in (self.folder / "data").glob("*/*"):
            if path.suffix in (".db", ".sqlite"):
                with contextlib.closing(sqlite3.connect(path)) as database:
                    found += [row[0] for row in database.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return found

    def kill(self, number: int) -> None:
        os.kill(number, signal.SIGKILL)

    def running(self) -> list[str]:
        return [
            f"{environment.get('SLIPWAY_SERVICE', environment.get('SLIPWAY_ROLE', 'supervisor'))} {number}"
            for number, environment in self.processes().items()
        ]

    def in_terminal(self, user: str, command: str) -> subprocess.CompletedProcess[str]:
        environment = next(
            environment
            for environment in self.processes().values()
            if environment.get("SLIPWAY_ROLE") == "notebook" and environment.get("JUPYTERHUB_USER") == user
        )
        home = Path(environment["HOME"])
        return self._run(["bash", "-lc", command], False, 300, environment, home)

    def logs(self) -> str:
        return "".join(
            f"── {file.name}\n{file.read_text(errors='replace')}\n"
            for file in sorted((self.folder / "logs").glob("*.log"))
        )
