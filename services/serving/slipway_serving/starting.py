"""A replica that starts: it takes no connection before it can answer as the others do."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from .shelf import Shelf
from .slots import Slot
from .stopping import Stopping
from .watcher import Look

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05


async def until_settled(shelf: Shelf, look: Callable[[], Look], seconds: float, stopping: Stopping) -> None:
    """Until each version that the registry wants answers or has failed, for so many seconds at most.

    Where the registry does not answer, what came back from the cache is all there is to wait for.
    """
    end = time.monotonic() + seconds
    while not stopping.begun and not _is_settled(shelf, look()):
        if time.monotonic() > end:
            log.warning("some versions are still being loaded", extra={"seconds": seconds})
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _is_settled(shelf: Shelf, look: Look) -> bool:
    if look.reachable is None:
        return False
    return look.reachable is False or all(map(_nothing_to_come, shelf.slots().values()))


def _nothing_to_come(slot: Slot) -> bool:
    """An older version that answers in place of one that is being loaded has been replaced elsewhere."""
    return slot.settled and (slot.state != "behind" or slot.failure is not None)
