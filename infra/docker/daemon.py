"""Starts the Docker daemon, by systemd or in a session of its own, and waits until it answers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from infra.docker.system import Refusal, has_systemd, require_root, run, succeeds, which

LOG = Path("/var/log/slipway-dockerd.log")
PID = Path("/run/slipway-dockerd.pid")
SOCKET = "unix:///var/run/docker.sock"
SECONDS_TO_START = 60


def answers() -> bool:
    """True if a Docker Engine answers the `docker` of this PATH."""
    return succeeds(["docker", "info"])


def ensure_daemon(say: Callable[[str], None] = print) -> None:
    """Starts dockerd unless an engine answers already. A Refusal says why it could not."""
    if answers():
        return
    require_root("Starting the Docker daemon", "./slipway install-docker")
    if which("dockerd") is None:
        raise Refusal("There is no dockerd on this machine. Install it with: ./slipway install-docker")
    if has_systemd():
        say("starting the service docker")
        run(["systemctl", "enable", "--now", "docker"], "Look at: journalctl --unit docker")
        wait_until_it_answers(None, "journalctl --unit docker")
    else:
        start_in_its_own_session(say)


def start_in_its_own_session(say: Callable[[str], None]) -> None:
    dockerd = which("dockerd")
    require_cgroups()
    running = recorded()
    if running is None:
        say(f"starting dockerd (no init system runs here); it writes to {LOG}")
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                [str(dockerd)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        PID.write_text(f"{process.pid}\n", encoding="ascii")
    else:
        say(f"dockerd (process {running}) was started a moment ago; waiting for it")
        process = None
    try:
        wait_until_it_answers(process, f"tail {LOG}")
    except Refusal:
        if process is not None:
            stop(process)
        raise


def wait_until_it_answers(process: subprocess.Popen[bytes] | None, look: str) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if answers():
            return
        if process is not None and process.poll() is not None:
            raise Refusal(
                f"dockerd ended by itself (exit {process.returncode}): {last_error()}\nLook at: {look}"
            )
        time.sleep(0.5)
    if os.environ.get("DOCKER_HOST", SOCKET) != SOCKET:
        raise Refusal(
            f"DOCKER_HOST is {os.environ['DOCKER_HOST']}, and no engine answers there. Unset it to use the "
            f"engine of "
            "this machine."
        )
    raise Refusal(f"The Docker daemon did not answer within {SECONDS_TO_START} seconds. Look at: {look}")


def last_error() -> str:
    """What dockerd said last, without the lines that are only notes."""
    try:
        lines = LOG.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    wrong = [line for line in lines if "level=" not in line or "level=error" in line or "level=fatal" in line]
    return (wrong or lines or [""])[-1]


def recorded() -> int | None:
    """The process recorded by an earlier start if it is still a dockerd."""
    try:
        process = int(PID.read_text(encoding="ascii"))
        program = Path(f"/proc/{process}/comm").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return None
    return process if program == "dockerd" else None


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
    PID.unlink() if PID.exists() else None


def require_cgroups() -> None:
    """dockerd's own words for a machine without control groups are hard to read."""
    mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    if " cgroup2 " not in mounts and " cgroup " not in mounts:
        raise Refusal(
            "No control groups are mounted, so dockerd cannot start. Mount them with: "
            "mount -t cgroup2 none /sys/fs/cgroup"
        )
