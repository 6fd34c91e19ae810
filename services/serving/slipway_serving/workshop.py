"""Makes a version that can answer out of one that is registered: fetched, verified, loaded, prepared, warm.

Knows neither aliases nor requests.
"""

from __future__ import annotations

import logging
from pathlib import Path

from . import manifest, memory
from .cache import ModelCache
from .model import ServedModel, first_load, warm_up
from .preparing import Preparer
from .registry import Registry, Target
from .turns import Turns

log = logging.getLogger(__name__)


class Workshop:
    def __init__(
        self, registry: Registry, cache: ModelCache, preparer: Preparer, max_rows: int, threads: int = 1
    ):
        self._registry, self._cache, self._preparer = registry, cache, preparer
        self._max_rows, self._threads = max_rows, threads
        self._turns = Turns()

    def bring(self, target: Target, rank: int = 0) -> ServedModel:
        """The version, tried on its own example, and prepared if that was done before.

        Raises whatever is in the way. rank: of several that are to be loaded the smallest comes first.
        """
        # Downloads wait for nobody: one that hangs must not hold up another version.
        tags = self._registry.tags(target)
        folder = self._cache.fetch(target, self._registry.download)
        try:
            return self._load(folder, target, tags, rank)
        except (memory.TooLarge, MemoryError):
            raise
        except Exception:
            # Whether the version or only this copy is broken cannot be told: a fresh copy next time.
            self._cache.drop(target)
            raise

    def recall(self, target: Target, tags: dict[str, str]) -> ServedModel | None:
        """The version from the cache alone, None where it is not there, damaged, or does not load."""
        if not self._cache.sound(target):
            return None
        try:
            return self.quick(self._load(self._cache.path(target), target, tags, 0))
        except Exception as error:
            log.warning(
                "a cached version does not load",
                extra={"model": target.name, "version": target.version, "reason": str(error)},
            )
            self._cache.drop(target)
            return None

    def quick(self, model: ServedModel) -> ServedModel:
        """The version with the fastest runtime that a first look finds; never fails."""
        return self._preparer.quick(model)

    def prepare(self, model: ServedModel) -> ServedModel:
        """The version with its fastest runtime, called often enough to be warm; never fails."""
        prepared = self._preparer.prepare(self._cache.path(model.target), model)
        warm_up(prepared)
        return prepared

    def close(self) -> None:
        self._preparer.close()

    def _load(self, folder: Path, target: Target, tags: dict[str, str], rank: int) -> ServedModel:
        with self._turns.take(rank):
            memory.require(manifest.size_of(folder))
            model = first_load(folder, target, self._max_rows, threads=self._threads, tags=tags)
            return self._preparer.recall(folder, model)
