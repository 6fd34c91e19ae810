"""The first start of an ordinary account: in a folder with spaces and letters of another language, without an
entry in the system's list of accounts, interrupted in every phase. Then it works all the same.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import psutil
import pytest

from tests.support.checkout import copy
from tests.support.installation import Embedded
from tests.support.person import Person
from tests.support.processes import eventually

UID = 12345
AS_THE_ACCOUNT = ("setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups")
PROJECT = "slipway-e2e-first"
PACKAGES = "venv-platform/lib/python3*/site-packages"
SERVICES_START = f"embedded/{PROJECT}/run/supervisord.pid"
PHASES = {
    "the environment is made": "venv-platform/pyvenv.cfg",
    "packages are fetched": "logs/uv.log",
    "packages are put in place": f"{PACKAGES}/sklearn",
    "the environment for notebooks is made": "venv-notebook/pyvenv.cfg",
    "secrets are made": f"embedded/{PROJECT}/data/secrets",
    "services start": SERVICES_START,
    "services are waited for": f"embedded/{PROJECT}/logs/hub.log",
}
"""What appears in SLIPWAY_HOME when a phase has begun."""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another account")


class Newcomer(Embedded):
    """A platform that the account starts."""

    prefix = AS_THE_ACCOUNT

    def __init__(self, folder: Path, checkout: Path, **options: str) -> None:
        super().__init__(PROJECT, checkout, SERVING_POLL_SECONDS="1", **options)
        # Of a user who has logged in, and not of whoever runs the tests.
        kept = {name: value for name, value in self.environment.items() if not name.startswith("XDG_")}
        self.environment = {**kept, "HOME": str(folder), "PATH": "/usr/local/bin:/usr/bin:/bin"}

    def starts(self, said: IO[bytes]) -> subprocess.Popen:
        return subprocess.Popen(
            [*self.prefix, str(self.checkout / "slipway"), "up", "--embedded"],
            cwd=self.checkout,
            env=self.environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )

    def is_interrupted(self, sign: str, number: signal.Signals, status: int) -> None:
        """Starts, sends the signal as soon as the sign appears; it ends with this exit status."""
        began = time.time()
        with tempfile.TemporaryFile() as said:
            launcher = self.starts(said)
            try:
                eventually(lambda: self.appeared(sign, began) or launcher.poll() is not None, 180, pause=0.02)
                launcher.send_signal(number)
                ended_with = launcher.wait(60)
                said.seek(0)
                assert ended_with == status, said.read().decode()
            finally:
                launcher.kill()
                launcher.wait()

    def appeared(self, sign: str, since: float) -> bool:
        try:
            return any(path.stat().st_ctime > since for path in self.home.glob(sign))
        except FileNotFoundError:  # what an earlier start has left is being removed
            return False


def of_the_account() -> list[str]:
    """What it runs, once programs that have been asked to end have done so."""
    eventually(lambda: not names(), 5, pause=0.05)
    return names()


def names() -> list[str]:
    return [one.name() for one in psutil.process_iter(["uids"]) if one.info["uids"].real == UID]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A home for the account."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-first-"))
    os.chown(folder, UID, UID)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def newcomer(folder) -> Iterator[Newcomer]:
    checkout = copy(folder / "Ein Ordner mit Ümläuten" / "slipway 試")
    for path in (checkout.parent, checkout, *checkout.rglob("*")):
        os.chown(path, UID, UID, follow_symlinks=False)
    newcomer = Newcomer(folder, checkout)
    yield newcomer
    newcomer.slipway("down", check=False)


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_leaves_nothing_running(newcomer, phase):
    newcomer.is_interrupted(PHASES[phase], signal.SIGINT, 128 + signal.SIGINT)
    assert of_the_account() == []


def test_a_request_to_end_leaves_nothing_running(newcomer):
    newcomer.is_interrupted(SERVICES_START, signal.SIGTERM, 128 + signal.SIGTERM)
    assert of_the_account() == []


def test_a_launcher_that_is_killed_while_packages_are_fetched_does_no_harm(newcomer):
    (newcomer.home / "venv-platform/slipway-lock").unlink()
    newcomer.is_interrupted(PHASES["packages are fetched"], signal.SIGKILL, -signal.SIGKILL)


def test_what_a_killed_launcher_has_started_is_found_by_the_next(newcomer):
    newcomer.is_interrupted(SERVICES_START, signal.SIGKILL, -signal.SIGKILL)
    services = newcomer.services
    assert eventually(lambda: len(services()) == 7, 30)
    before = services()
    newcomer.up()
    assert services() == before


def test_then_a_model_is_trained_and_predicts(newcomer):
    person = Person(newcomer.url, newcomer.up())
    assert person.name == "admin"
    person.rolls_out_a_first_model()
    assert person.predicts().status_code == 200
    person.starts_a_server()
    assert person.starts_a_kernel().runs("import mlflow; print(mlflow.active_run())") == "None\n"
    newcomer.slipway("down")
    assert of_the_account() == []


def test_a_checkout_that_cannot_be_written_works_with_slipway_home_elsewhere(folder, newcomer):
    checkout, home = copy(folder / "of-root"), folder / "elsewhere"
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(checkout)], check=True)
    home.mkdir()
    for name in ("venv-platform", "venv-notebook", "notebook-home"):
        (home / name).symlink_to(newcomer.home / name)
    os.chown(home, UID, UID)
    other = Newcomer(folder, checkout, SLIPWAY_HOME=str(home))
    person = Person(other.url, other.up())
    try:
        person.rolls_out_a_first_model()
        assert person.predicts().status_code == 200
    finally:
        other.slipway("down")
    assert of_the_account() == []
