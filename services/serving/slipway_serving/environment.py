"""What a version's requirements name that is not installed here: the likely reason where it does not work.

A version is not refused for this alone: MLflow notes exact versions of all that was there when it was logged,
and most models run on the next ones as well. Whether this one does, its own example shows.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

# MLflow lists itself; which of its distributions is installed does not matter to a model.
_OURS = {"mlflow", "mlflow-skinny"}


@dataclass(frozen=True)
class Unmet:
    """missing: libraries that are not here; different: in another version than asked for."""

    missing: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)

    @property
    def remarks(self) -> list[str]:
        return [f"it needs {name}, which is not installed here" for name in self.missing] + self.different

    def __str__(self) -> str:
        return "; ".join(self.remarks)


def unmet(folder: Path) -> Unmet:
    """Compare requirements.txt with what is installed."""
    missing, different = [], []
    for requirement in _requirements(folder):
        if requirement.name.lower() in _OURS or (requirement.marker and not requirement.marker.evaluate()):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(str(requirement))
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            different.append(f"it needs {requirement}, here is {version}")
    return Unmet(missing, different)


def _requirements(folder: Path) -> list[Requirement]:
    try:
        lines = (folder / "requirements.txt").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Requirement(line.split(" #")[0].strip()))
        except InvalidRequirement:
            continue  # an option, a comment, a file
    return found
