"""Runs in the notebook image with one user's volume as its home: puts files there from a tar on stdin.

    python home.py look INSTANCE            {"has_files": …, "brought": folder or null, "state": …}
    python home.py gather COUNT < TAR       COUNT: entries of the archive
    python home.py digests                  of what was gathered: [path, kind, digest] as JSON, one a line
    python home.py settle INSTANCE          moves it to its place

An empty home takes the files as its own; in another they come into ~/from-embedded. Nothing that is there is
written over. They are gathered beside their place, so that a cut-off archive leaves no half of a home.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("HOME", "/home/jovyan"))
GATHERED = ".from-embedded.part"
"""Takes the archive; of no worth until it has become WHOLE."""
WHOLE = ".from-embedded.whole"
MARK = ".from-embedded.json"
ASIDE = "from-embedded"
OF_THE_IMAGE = {".bash_logout", ".bashrc", ".profile"}
"""What a new volume gets from the image."""


def main(order: str, *more: str) -> int:
    if order == "look":
        print(json.dumps({"has_files": bool(own_files()), "brought": brought(more[0]), "state": state()}))
    elif order == "gather":
        gather(int(more[0]))
    elif order == "digests":
        for entry in digests(HOME / WHOLE):
            print(json.dumps(entry))
    else:
        settle(more[0])
    return 0


def state() -> str:
    """`nothing`, `gathered`, or `settling` if a move has begun and only needs to be finished."""
    if not (HOME / WHOLE).exists():
        return "nothing"
    return "settling" if "under_way" in note() else "gathered"


def gather(count: int) -> None:
    for name in (GATHERED, WHOLE):
        shutil.rmtree(HOME / name, ignore_errors=True)
    (HOME / GATHERED).mkdir()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        archive.extractall(  # noqa: S202 (its filter is below)
            HOME / GATHERED, filter=as_it_was
        )
        arrived = len(archive.getmembers())
    if arrived != count:
        sys.exit(f"the archive broke off: {arrived} of {count} entries arrived")
    (HOME / GATHERED).rename(HOME / WHOLE)


def settle(instance: str) -> None:
    # Written before the first move: a restart must not take what has been moved for the user's own files.
    folder = note().get("under_way") or (ASIDE if own_files() else ".")
    write_note({**note(), "under_way": folder})
    target = HOME / folder
    target.mkdir(exist_ok=True)
    for entry in sorted((HOME / WHOLE).iterdir()):
        there = target / entry.name
        if folder == "." and entry.name in OF_THE_IMAGE:
            there.unlink(missing_ok=True)
        if os.path.lexists(there):
            sys.exit(f"~/{there.relative_to(HOME)} is there already; nothing was written over it")
        entry.rename(there)
    before = note().get("brought", {})
    write_note({"brought": {**before, instance: folder}})
    (HOME / WHOLE).rmdir()


def as_it_was(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo:
    """Nothing outside the folder; links as they are, since their owner may point them where they like. What
    the owner could not write to could not be moved either."""
    if member.issym():
        return member
    mode = (member.mode or 0) | (0o700 if member.isdir() else 0o600)
    return tarfile.tar_filter(member.replace(mode=mode, deep=False), folder)


def own_files() -> list[str]:
    ours = {GATHERED, WHOLE, MARK, *OF_THE_IMAGE}
    return [entry.name for entry in HOME.iterdir() if entry.name not in ours]


def brought(instance: str) -> str | None:
    """The folder that this instance's files are in; None if they are not here."""
    return note().get("brought", {}).get(instance)


def note() -> dict[str, Any]:
    try:
        return json.loads((HOME / MARK).read_text())
    except FileNotFoundError:
        return {}


def write_note(content: dict[str, Any]) -> None:
    temporary = HOME / f"{MARK}.new"
    temporary.write_text(json.dumps(content))
    temporary.rename(HOME / MARK)


def digests(folder: Path) -> list[list[str]]:
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found.append([name, "link", os.readlink(path)])
        elif path.is_dir():
            found.append([name, "folder", ""])
        elif path.is_file():
            with path.open("rb") as file:
                found.append([name, "file", hashlib.file_digest(file, "sha256").hexdigest()])
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
