"""The Python environments of embedded platforms, shared by all of them: one for the services, and over it one
for the users' kernels and terminals. Made when they are missing or their sources have changed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from infra.embedded import installer, notebook_environment
from infra.embedded.installer import Work
from infra.embedded.notebook_environment import NOTEBOOK, TEMPLATE
from infra.launcher.paths import ROOT, STATE, ensure_state, short
from infra.launcher.progress import Screen, seconds
from infra.launcher.pythons import find_python, make_venv

__all__ = ["NOTEBOOK", "PLATFORM", "TEMPLATE", "ensure", "is_made", "python"]

PLATFORM = STATE / "venv-platform"
LOCK = ROOT / "infra/embedded/requirements.txt"
MARK = PLATFORM / "slipway-lock"


def python() -> Path:
    """The services' Python."""
    return PLATFORM / "bin" / "python"


def is_made() -> bool:
    """Both environments are there and of the present sources. Services should not run when they are not:
    `ensure` makes them anew."""
    return platform_is_made() and notebook_environment.is_made(platform_mark())


def ensure(screen: Screen) -> None:
    """Makes what is missing. Interrupted, it begins anew the next time: the mark is written last."""
    if is_made():
        return
    ensure_state()
    try:
        with alone(screen) as hold:
            work = Work(screen, hold)
            if not platform_is_made():
                make_platform(work)
            if not notebook_environment.is_made(platform_mark()):
                notebook_environment.make(python(), platform_mark(), work)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise installer.NoRoom("The disk has become full") from error
        raise


def make_platform(work: Work) -> None:
    began, base = time.monotonic(), find_python()
    if PLATFORM.exists():
        MARK.unlink(missing_ok=True)
        shutil.rmtree(PLATFORM)
    installer.require_room()
    work.screen.say(f"Making the Python environment in {short(PLATFORM)} (1.2 GiB; takes minutes, only once)")
    installer.install(python(), LOCK, lambda: make_venv(base, PLATFORM), work)
    MARK.write_text(platform_mark(), encoding="utf-8")
    work.screen.good(f"the Python environment is ready ({seconds(time.monotonic() - began)})")


def platform_is_made() -> bool:
    try:
        return MARK.read_text(encoding="utf-8") == platform_mark()
    except OSError:
        return False


def platform_mark() -> str:
    """Of the lock, of where it is (an environment cannot be moved; a link to it will do) and of the Python it
    is made of, which may be replaced by the system's next release."""
    made_of = os.path.realpath(python())
    there = made_of if os.path.exists(made_of) else ""
    return f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()}\n{os.path.realpath(PLATFORM)}\n{there}\n"


@contextlib.contextmanager
def alone(screen: Screen) -> Iterator[int]:
    """One at a time, also after a launcher that was killed and whose installer goes on."""
    path = STATE / "environment.lock"
    handle = os.open(str(path), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            screen.say("The Python environment is being made by another ./slipway; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)
