"""The server's own copy of what it serves, on disk, so that it can start without the registry.

CACHE/state.json                  what is live, what was before, and what other aliases name, per model
CACHE/models/NAME/VERSION-BORN/   one model's files, complete or not there at all, with their manifest
CACHE/locks/                      by which replicas that share the folder know of each other
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from . import manifest
from .locks import Locks
from .registry import Target

log = logging.getLogger(__name__)
INCOMING = ".incoming-"
_STALE_SECONDS = 3600
_FETCH_SECONDS = 600


@dataclass(frozen=True)
class Kept:
    """A loaded version in the state file. since: ISO 8601, when it became live; tags: the version's."""

    target: Target
    since: str
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class KeptModel:
    """One model's entry: Production, the one before, other aliases, and the registered model's tags."""

    live: Kept | None
    previous: Kept | None = None
    others: dict[str, Kept] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class ModelCache:
    """Model files by version. Replicas may share one folder: everything appears by a rename."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._models = folder / "models"
        self._state = folder / "state.json"
        self._models.mkdir(parents=True, exist_ok=True)
        self._locks = Locks(folder / "locks")
        self._sweep()

    def path(self, target: Target) -> Path:
        """Where a version's files are or would be."""
        return self._models / _folder_name(target.name) / f"{target.version}-{target.born}"

    def fetch(self, target: Target, download: Callable[[Target, Path], None]) -> Path:
        """The folder with the version's files, downloaded if not here yet or damaged.

        Passes download's errors on, and raises Damaged where what came is not what was logged.
        """
        name, place = _lock_name(target), self.path(target)
        self._locks.hold(name)
        with self._locks.fetching(name, _FETCH_SECONDS):
            if self.sound(target):
                return place
            incoming = _incoming(place.parent)
            try:
                download(target, incoming)
                manifest.check_download(incoming)
                manifest.write(incoming)
                incoming.rename(place)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
        return place

    def sound(self, target: Target) -> bool:
        """Whether the version's files are here as they came; what is damaged is removed."""
        place = self.path(target)
        if not place.is_dir():
            return False
        self._locks.hold(_lock_name(target))
        try:
            manifest.check(place)
        except (manifest.Damaged, OSError) as error:
            log.warning(
                "a cached version is damaged, it is fetched again",
                extra={"model": target.name, "version": target.version, "reason": str(error)},
            )
            self.drop(target)
            return False
        return True

    def drop(self, target: Target) -> None:
        """Forget a version's files, so that the next fetch downloads them anew."""
        _remove(self.path(target))

    def prune(self, keep: Iterable[Target]) -> None:
        """Remove every version that is not in `keep` and that no other replica uses or fetches."""
        wanted = {self.path(target): _lock_name(target) for target in keep}
        for name in self._locks.held() - set(wanted.values()):
            self._locks.release(name)
        for model in self._models.iterdir():
            for version in model.iterdir():
                if version not in wanted and not version.name.startswith(INCOMING):
                    with self._locks.alone(f"{model.name}@{version.name}") as free:
                        if free:
                            _remove(version)
            # A download that starts this moment may have put something into it: then it stays.
            with contextlib.suppress(OSError):
                model.rmdir()

    def remember(self, models: dict[str, KeptModel]) -> None:
        """Write the state file, whole or not at all."""
        text = json.dumps({"models": {name: asdict(kept) for name, kept in models.items()}}, indent=1)
        handle, name = tempfile.mkstemp(prefix=INCOMING, dir=self._folder)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, self._state)
        except OSError:
            os.unlink(name)
            raise

    def recall(self) -> dict[str, KeptModel]:
        """What the state file says; nothing where there is none or it cannot be read (the log tells)."""
        try:
            models = json.loads(self._state.read_text())["models"]
            return {name: _kept_model(entry) for name, entry in models.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
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


def _remove(place: Path) -> None:
    """Away by a rename first: nobody finds half of it."""
    away = place.with_name(f"{INCOMING}gone-{place.name}-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(away)
    shutil.rmtree(away, ignore_errors=True)


def _incoming(parent: Path) -> Path:
    while True:
        parent.mkdir(parents=True, exist_ok=True)
        # The folder of a model without versions may be pruned at this very moment.
        with contextlib.suppress(FileNotFoundError):
            return Path(tempfile.mkdtemp(prefix=INCOMING, dir=parent))


def _folder_name(model: str) -> str:
    # quote() leaves dots alone, and a model may be called "..".
    return quote(model, safe="").replace(".", "%2E")


def _lock_name(target: Target) -> str:
    return f"{_folder_name(target.name)}@{target.version}-{target.born}"


def _kept_model(entry: dict) -> KeptModel:
    live, previous = entry["live"], entry.get("previous")
    return KeptModel(
        _kept(live) if live else None,
        _kept(previous) if previous else None,
        {alias: _kept(one) for alias, one in entry.get("others", {}).items()},
        dict(entry.get("tags", {})),
    )


def _kept(entry: dict) -> Kept:
    return Kept(Target(**entry["target"]), str(entry["since"]), dict(entry.get("tags", {})))
