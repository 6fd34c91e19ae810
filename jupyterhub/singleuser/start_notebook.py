#!/usr/bin/env python3
"""Before the notebook server: puts the examples into the user's home, then becomes the command it was given.

What is there stays as it is. Standard library only: the image and the embedded platform both start it with
the Python they have.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

TEMPLATE = "/opt/slipway/home"


def main(command: list[str]) -> None:
    template = Path(os.environ.get("NOTEBOOK_HOME_TEMPLATE") or TEMPLATE)
    home = Path(os.environ["HOME"])
    try:
        copy_what_is_missing(template, home)
    except OSError as error:
        print(
            f"notebook: the examples could not be copied to {home} ({error.strerror}); is the volume full?",
            file=sys.stderr,
            flush=True,
        )
    os.execvp(command[0], command)  # noqa: S606 - it becomes the server, which gets the signals


def copy_what_is_missing(source: Path, target: Path) -> None:
    """Folders, files and links; nothing that is there is touched, whatever it is."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in sorted(source.iterdir()):
        there = target / entry.name
        if entry.is_symlink():
            if not os.path.lexists(there):
                there.symlink_to(os.readlink(entry))
        elif entry.is_dir():
            if there.is_dir() or not os.path.lexists(there):
                copy_what_is_missing(entry, there)
        elif not os.path.lexists(there):
            copy_file(entry, there)


def copy_file(source: Path, target: Path) -> None:
    """Whole or not at all: half a file would be taken for the user's own the next time."""
    try:
        shutil.copyfile(source, target)
        shutil.copymode(source, target)
    except OSError:
        target.unlink(missing_ok=True)
        raise


if __name__ == "__main__":
    main(sys.argv[1:])
