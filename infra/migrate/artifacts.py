"""Every file of the artifact folder into the stack's store; what is there, and equal, is left alone."""

from __future__ import annotations

import json
import tarfile
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
    there = digests_there(project, wanted)
    missing = [path for path, value in wanted.items() if there.get(path) != value]
    if missing:
        in_service(
            project, "mlflow", "artifacts", "put", feed=lambda pipe: send(source, missing, pipe, progress)
        )
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
    sent = 0
    with tarfile.open(fileobj=pipe, mode="w|") as archive:
        for count, path in enumerate(paths, 1):
            file = source.artifacts / path
            archive.add(file, arcname=path, recursive=False)
            sent += file.stat().st_size
            progress(f"{count:,} of {len(paths):,} files, {size(sent)}")


def bytes_of(source: Source, paths: dict[str, str]) -> int:
    return sum(Path(source.artifacts / path).stat().st_size for path in paths)
