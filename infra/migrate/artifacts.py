"""Every file of the artifact folder into the stack's store; what is there, and equal, is left alone."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from infra.launcher.problem import Problem
from infra.launcher.progress import size
from infra.migrate.source import Source, digest
from infra.migrate.stores import Progress
from infra.migrate.talk import AGAIN, in_service


def digests(source: Source, progress: Progress) -> dict[str, str]:
    """sha256 by the path under the folder."""
    found = {}
    for path in sorted(source.artifacts.rglob("*")):
        if path.is_file():
            found[path.relative_to(source.artifacts).as_posix()] = digest(path)
            if len(found) % 500 == 0:
                progress(f"{len(found):,} files read")
    return found


def bring(project: str, source: Source, wanted: dict[str, str], progress: Progress) -> int:
    """Sends what is missing, then compares all of it; the number of files that were sent."""
    progress("looking at what the stack has")
    there = digests_there(project, wanted)
    missing = [path for path, value in wanted.items() if there.get(path) != value]
    if missing:
        in_service(
            project, "mlflow", "artifacts", "put", feed=lambda pipe: send(source, missing, pipe, progress)
        )
        progress("comparing digests")
        there = digests_there(project, wanted)
    unequal = [path for path, value in wanted.items() if there.get(path) != value]
    if unequal:
        raise Problem(
            f"{len(unequal)} artifacts are not in the stack as they are here, such as {unequal[0]}.", AGAIN
        )
    return len(missing)


def digests_there(project: str, wanted: dict[str, str]) -> dict[str, str]:
    def feed(pipe: IO[bytes]) -> None:
        for path in wanted:
            pipe.write(json.dumps(path).encode() + b"\n")

    lines = in_service(project, "mlflow", "artifacts", "digests", feed=feed).splitlines()
    return dict(json.loads(line) for line in lines)


def send(source: Source, paths: list[str], pipe: IO[bytes], progress: Progress) -> None:
    begun = sent = 0

    def tell(count: int) -> None:
        nonlocal sent
        sent += count
        progress(f"{begun:,} of {len(paths):,} files, {size(sent)}")

    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        for path in paths:
            begun += 1
            member = archive.gettarinfo(str(source.artifacts / path), arcname=path)
            # One that has a second name is a file like any other there.
            member.type, member.linkname = tarfile.REGTYPE, ""
            member.size = (source.artifacts / path).stat().st_size
            with (source.artifacts / path).open("rb") as file:
                archive.addfile(member, Counted(file, tell))


class Counted:
    """A file that tells how much of it is read."""

    def __init__(self, file: IO[bytes], tell: Callable[[int], None]) -> None:
        self._file, self._tell = file, tell

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._tell(len(data))
        return data


def bytes_of(source: Source, paths: dict[str, str]) -> int:
    return sum(Path(source.artifacts / path).stat().st_size for path in paths)
