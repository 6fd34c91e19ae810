"""Which commit the running code is, where it is in git; an installed copy has none."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Commit:
    """changed: the folder differs from what was committed."""

    id: str
    changed: bool


def commit_of(folder: Path) -> Commit | None:
    """The commit of a folder that git tracks; None without git, or for a copy that merely lies inside a
    clone.
    """
    if not (_git(folder, "ls-files", "--", ".") and (commit := _git(folder, "rev-parse", "HEAD"))):
        return None
    return Commit(commit, bool(_git(folder, "status", "--porcelain", "--", ".")))


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
