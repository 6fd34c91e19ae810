"""Copies of this checkout, as a newcomer has it: without what was made in it."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

from tests.support.installation import REPOSITORY

MADE_HERE = shutil.ignore_patterns(
    ".git", ".slipway", ".env", "__pycache__", ".*_cache", "results", "mlruns", "mlartifacts", "*.egg-info"
)


def copy(to: Path) -> Path:
    """A copy at `to`, which is not there yet."""
    shutil.copytree(REPOSITORY, to, symlinks=True, ignore=MADE_HERE)
    for secret in (to / "secrets").iterdir():
        if secret.name != "README.md":
            secret.unlink()
    return to


def archive(folder: Path, name: str) -> bytes:
    """A tar archive of a copy, made in `folder`, in which it is called `name`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(copy(folder / name), name)
    return packed.getvalue()
