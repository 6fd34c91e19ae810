"""Speaks with the one process that all services are children of: PyPI's `supervisor`, over a socket in the
instance's folder.

It is told only which services there are; what each runs, child.py reads from run/services.json. So nothing of
a path or a value has to pass through the rules of its configuration file.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infra.embedded.instance import Instance
from infra.launcher.paths import ROOT
from infra.launcher.problem import Problem
from infra.launcher.shell import begin

SOCKET = "run/supervisor.sock"
# A socket's address may have some hundred bytes, and the supervisor makes an absolute one of it. This one is
# short wherever the instance is.
ITS_SOCKET = f"/proc/self/cwd/{SOCKET}" if sys.platform == "linux" else SOCKET
CONFIGURATION = "run/supervisord.conf"
ITS_LOG = "logs/supervisor.log"
# Variables that say how this machine and its network are; others, such as an account's own MLFLOW_* or AWS_*,
# would reach into the services.
OF_THE_MACHINE = re.compile(
    r"HOME|USER|LOGNAME|SHELL|TERM|TMPDIR|TZ|LANG|LC_\w+|SSL_\w+|\w+_CA_BUNDLE|PIP_\w+|\w*(_proxy|_PROXY)"
)
# What `stop` of the slowest service may take, and then some.
STOP_SECONDS = 60

# On few cores the whole start takes as long as these.
SLOW_TO_START = ("mlflow", "hub", "serving")
NO_ANSWER = (OSError, http.client.HTTPException, xmlrpc.client.Error)

HEADER = f"""\
[supervisord]
nodaemon = true
silent = true
logfile = {ITS_LOG}
logfile_maxbytes = 1MB
logfile_backups = 1
pidfile = run/supervisord.pid
childlogdir = logs
umask = 077

[unix_http_server]
file = {ITS_SOCKET}
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# A service that ends at once is tried again after 1, 2, 3 … seconds.
PROGRAM = """
[program:{name}]
command = python -m infra.embedded.child {name}
priority = {priority}
autorestart = true
startsecs = 3
startretries = 20
stopwaitsecs = 30
stopasgroup = true
killasgroup = true
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 2
"""


class Child(NamedTuple):
    """What the supervisor says of one service."""

    name: str
    state: str
    """STARTING, RUNNING, BACKOFF, STOPPING, STOPPED, EXITED or FATAL."""
    pid: int
    started_at: int
    """Unix seconds; 0 if it never started."""
    words: str
    """Why it could not be started, if so."""


def configuration(names: Sequence[str]) -> str:
    slow_ones_first = [name for name in SLOW_TO_START if name in names]
    others = [name for name in names if name not in slow_ones_first]
    return HEADER + "".join(
        PROGRAM.format(name=name, priority=number)
        for number, name in enumerate([*slow_ones_first, *others], start=1)
    )


def start(instance: Instance, names: Sequence[str], environment: Path) -> subprocess.Popen[bytes]:
    """Starts the supervisor, and with it the services, in a session of its own: it lives on after this."""
    (instance.folder / CONFIGURATION).write_text(configuration(names))
    first = instance.logs / "supervisor-start.log"
    with first.open("wb") as log:
        return begin(
            [str(environment / "bin" / "python"), "-m", "infra.embedded.supervising", "-c", CONFIGURATION],
            cwd=instance.folder,
            env=environment_of_supervisor(instance, environment, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def environment_of_supervisor(
    instance: Instance, environment: Path, current: Mapping[str, str]
) -> dict[str, str]:
    """What all services get; each one's own variables come with child.py."""
    path = os.pathsep.join([str(environment / "bin"), current.get("PATH", os.defpath)])
    kept = {name: value for name, value in current.items() if OF_THE_MACHINE.fullmatch(name)}
    # The services speak to one another on this machine, whatever proxy leads out of it.
    others = current.get("no_proxy") or current.get("NO_PROXY") or ""
    here = ",".join(filter(None, [others, "localhost", "127.0.0.1"]))
    return {
        **kept,
        "no_proxy": here,
        "NO_PROXY": here,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        # Packages that the account installed for itself are not the platform's.
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "SLIPWAY_INSTANCE": str(instance.folder),
    }


def children(instance: Instance) -> list[Child] | None:
    """Each service's state; None if no supervisor answers."""
    try:
        with _speaking(instance) as server:
            return [_child(one) for one in server.supervisor.getAllProcessInfo()]
    except NO_ANSWER:
        return None


def pid(instance: Instance) -> int | None:
    try:
        with _speaking(instance) as server:
            return server.supervisor.getPID()
    except NO_ANSWER:
        return None


def restart(instance: Instance, name: str) -> None:
    """Stops one service, and starts it again once it has ended; a Problem if the supervisor will not."""
    try:
        with _speaking(instance) as server:
            # It faults where the service does not run, which is as good.
            with contextlib.suppress(xmlrpc.client.Fault):
                server.supervisor.stopProcess(name)
            server.supervisor.startProcess(name, False)
    except NO_ANSWER as error:
        raise Problem(
            f"The supervisor could not restart {name}: {error}.", f"See {instance.folder / ITS_LOG}."
        ) from error


def shut_down(instance: Instance) -> bool:
    """Stops all services and the supervisor, and waits for it; False if none was there."""
    number = pid(instance)
    if number is None:
        return False
    # It may close the connection before it has answered.
    with contextlib.suppress(*NO_ANSWER), _speaking(instance) as server:
        # Of its own accord it stops one after the other.
        server.supervisor.stopAllProcesses(False)
        server.supervisor.shutdown()
    deadline = time.monotonic() + STOP_SECONDS
    while is_alive(number):
        if time.monotonic() > deadline:
            raise Problem(
                f"The supervisor (process {number}) did not end within {STOP_SECONDS} seconds.",
                f"See {instance.folder / ITS_LOG}, then run `./slipway down` again.",
            )
        time.sleep(0.05)
    return True


def is_alive(number: int) -> bool:
    """Also true for one that has ended and was not yet waited for by whoever started it, so it is waited for
    here if that was us."""
    with contextlib.suppress(OSError):
        os.waitpid(number, os.WNOHANG)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _child(info: Mapping[str, Any]) -> Child:
    return Child(
        info["name"], info["statename"], info["pid"], info["start"] if info["pid"] else 0, info["spawnerr"]
    )


@contextlib.contextmanager
def _speaking(instance: Instance) -> Iterator[xmlrpc.client.ServerProxy]:
    """For the sake of its length the socket is named from the folder it is in."""
    if not instance.folder.is_dir():
        raise FileNotFoundError(str(instance.folder))
    before = os.getcwd()
    os.chdir(instance.folder)
    try:
        with xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_OverSocket()) as server:
            yield server
    finally:
        os.chdir(before)


class _OverSocket(xmlrpc.client.Transport):
    def make_connection(self, host: object) -> http.client.HTTPConnection:
        return _SocketConnection("localhost", timeout=STOP_SECONDS)


class _SocketConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)
