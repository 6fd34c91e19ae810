"""Users' homes into the volumes that the hub gives their notebook servers."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from infra.launcher import engine
from infra.launcher.problem import Problem
from infra.migrate.source import digest
from infra.migrate.stores import Progress
from infra.migrate.talk import AGAIN, Feed, python, talk

LEFT_OUT = {
    ".cache",
    ".mlflow/envs",
    ".ipython/profile_default/history.sqlite-journal",
    # For another Python, and for paths that are only here: `pip install` brings it again.
    ".local/lib",
    ".local/bin",
    ".local/share/jupyter/runtime",
    ".local/share/Trash",
}
HOME = "/home/jovyan"


class Entry(NamedTuple):
    path: Path
    name: str
    kind: str
    """file, folder or link"""

    def digest(self) -> str:
        if self.kind == "file":
            return digest(self.path)
        return os.readlink(self.path) if self.kind == "link" else ""


class Home(NamedTuple):
    """A volume, by what the stack's containers see of it."""

    project: str
    image: str
    volume: str

    def run(self, order: str, *more: str, feed: Feed | None = None) -> str:
        command = ["docker", "run", "--rm", "--interactive", "--network", "none", "--user", "1000:1000"]
        command += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        # The image has Compose's labels, and this is no service of the stack.
        command += ["--label", "com.docker.compose.project=", "--label", "com.docker.compose.service="]
        command += ["--mount", f"type=volume,source={self.volume},target={HOME}", "--entrypoint", "tini"]
        return talk([*command, self.image, "--", *python("home"), order, *more], self.volume, feed)

    def ensure(self) -> None:
        labels = {engine.OUR_PROJECT: self.project, engine.OUR_ROLE: "notebook"}
        options = [word for name, value in labels.items() for word in ("--label", f"{name}={value}")]
        answer = engine.docker("volume", "create", *options, self.volume)
        if not answer.ok:
            raise Problem(f"The volume {self.volume} cannot be made: {answer.last_words(2)}", AGAIN)

    def exists(self) -> bool:
        return engine.docker("volume", "inspect", self.volume).ok

    def look(self, instance: str) -> dict[str, Any]:
        """has_files, brought and state, as inside/home.py tells them."""
        return dict(json.loads(self.run("look", instance)))


def volume_of(project: str, user: str) -> str:
    """As DockerSpawner escapes names, in the hub's own template (slipway_hub/spawner.py)."""
    plain = b"abcdefghijklmnopqrstuvwxyz0123456789"
    escaped = "".join(chr(byte) if byte in plain else f"-{byte:02x}" for byte in user.encode("utf-8"))
    return f"{project}-notebook-{escaped}"


def entries(home: Path) -> Iterator[Entry]:
    """All that is to go, folders before what is in them."""
    for folder, folders, files in os.walk(home):
        inside = Path(folder).relative_to(home)
        folders[:] = sorted(name for name in folders if (inside / name).as_posix() not in LEFT_OUT)
        for name in sorted([*folders, *files]):
            path, relative = Path(folder) / name, (inside / name).as_posix()
            mode = os.lstat(path).st_mode
            if relative in LEFT_OUT:
                continue
            if stat.S_ISLNK(mode):
                yield Entry(path, relative, "link")
            elif stat.S_ISDIR(mode):
                yield Entry(path, relative, "folder")
            elif stat.S_ISREG(mode):
                yield Entry(path, relative, "file")


def bring(home: Home, folder: Path, instance: str, progress: Progress) -> str:
    """Puts it there unless that was done before; the folder of the user's home that it is in."""
    home.ensure()
    there = home.look(instance)
    if there["brought"] is None:
        if there["state"] != "settling":
            gather(home, folder, there["state"] == "gathered", progress)
        home.run("settle", instance)
        there = home.look(instance)
    return str(there["brought"])


def gather(home: Home, folder: Path, try_what_is_there: bool, progress: Progress) -> None:
    mine = sorted([entry.name, entry.kind, entry.digest()] for entry in entries(folder))
    if try_what_is_there and digests_there(home) == mine:
        return
    home.run("gather", str(len(mine)), feed=lambda pipe: send(folder, pipe, progress))
    if digests_there(home) != mine:
        raise Problem(f"{folder} did not arrive in {home.volume} as it is here.", AGAIN)


def digests_there(home: Home) -> list[list[str]]:
    return sorted(json.loads(line) for line in home.run("digests").splitlines())


def send(folder: Path, pipe: IO[bytes], progress: Progress) -> None:
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        for count, entry in enumerate(entries(folder), 1):
            member = archive.gettarinfo(str(entry.path), arcname=entry.name)
            member.uid = member.gid = 1000
            member.uname = member.gname = "jovyan"
            if member.isreg():
                with entry.path.open("rb") as file:
                    archive.addfile(member, file)
            else:
                archive.addfile(member)
            if count % 100 == 0:
                progress(f"{folder.name}: {count:,} files")
