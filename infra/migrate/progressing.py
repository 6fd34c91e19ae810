"""How far long work is: a line that changes on a terminal, one every quarter of a minute elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable

from infra.launcher.progress import Screen

EVERY = 15.0


def progress(screen: Screen, what: str) -> Callable[[str], None]:
    """Call it with words as often as you like."""
    last = time.monotonic()

    def tell(words: str) -> None:
        nonlocal last
        screen.draw([f"  {what}: {words}"])
        if not screen.live and time.monotonic() - last > EVERY:
            last = time.monotonic()
            screen.say(f"  {what}: {words}")

    return tell
