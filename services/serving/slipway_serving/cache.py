"""The server's own copy of what it serves, on disk, so that it can start without the registry.

CACHE/state.json            what is live and what was before, per model
CACHE/models/NAME/VERSION-BORN/   one model's files, complete or not there at all
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from .registry import Target

log = logging.getLogger(__name__)
INCOMING = ".incoming-"
_STALE_SECONDS = 3600


@dataclass(frozen=True)
class Kept:
    """One model's line in the state file. since: ISO 8601, when the version became live."""

    target: Target
    since: str


@dataclass(frozen=True)
class KeptModel:
    live: Kept
    previous: Kept | None = None


class ModelCache:
    """Model files by version. Replicas may share one folder: everything appears by a rename."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._models = folder / "models"
        self._state = folder / "state.json"
        self._models.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def path(self, target: Target) -> Path:
        """Where a version's files are or would be."""
        return self._models / _folder_name(target.name) / f"{target.version}-{target.born}"

    def fetch(self, target: Target, download: Callable[[Target, Path], None]) -> Path:
        """The folder with the version's files, downloaded if not here yet; passes download's errors on."""
        place = self.path(target)
        if place.is_dir():
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        incoming = Path(tempfile.mkdtemp(prefix=INCOMING, dir=place.parent))
        try:
            download(target, incoming)
            try:
                incoming.rename(place)
            except OSError:
                # Another replica was faster; its copy is as complete as ours.
                if not place.is_dir():
                    raise
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        return place

    def drop(self, target: Target) -> None:
        """Forget a version's files, so that the next fetch downloads them anew."""
        shutil.rmtree(self.path(target), ignore_errors=True)

    def prune(self, keep: Iterable[Target]) -> None:
        """Remove every version that is not in `keep`."""
        wanted = {self.path(target) for target in keep}
        for model in self._models.iterdir():
            for version in model.iterdir():
                if version not in wanted and not version.name.startswith(INCOMING):
                    shutil.rmtree(version, ignore_errors=True)
            if not any(model.iterdir()):
                # A download that starts this moment may have put something into it: then it stays.
                try:
                    model.rmdir()
                except OSError:
                    continue

    def remember(self, models: dict[str, KeptModel]) -> None:
        """Write the state file, whole or not at all."""
        text = json.dumps({"models": {name: asdict(kept) for name, kept in models.items()}}, indent=1)
        handle, name = tempfile.mkstemp(prefix=INCOMING, dir=self._folder)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._state)

    def recall(self) -> dict[str, KeptModel]:
        """What the state file says; nothing where there is none or it cannot be read (the log tells)."""
        try:
            models = json.loads(self._state.read_text())["models"]
            return {name: _kept_model(entry) for name, entry in models.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, OSError) as error:
            log.warning(
                "the cache's state file is not usable, starting without it", extra={"reason": str(error)}
            )
            return {}

    def _sweep(self) -> None:
        """Remove what downloads cut off by a crash left behind; a fresh one may be another replica's."""
        for leftover in [*self._models.glob(f"*/{INCOMING}*"), *self._folder.glob(f"{INCOMING}*")]:
            try:
                stale = time.time() - leftover.stat().st_mtime > _STALE_SECONDS
            except FileNotFoundError:
                continue
            if stale and leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            elif stale:
                leftover.unlink(missing_ok=True)


def _folder_name(model: str) -> str:
    # quote() leaves dots alone, and a model may be called "..".
    return quote(model, safe="").replace(".", "%2E")


def _kept_model(entry: dict) -> KeptModel:
    previous = entry.get("previous")
    return KeptModel(_kept(entry["live"]), _kept(previous) if previous else None)


def _kept(entry: dict) -> Kept:
    return Kept(Target(**entry["target"]), str(entry["since"]))
