"""How much may be under way at once: of one caller, in bytes, and how long a sender may take."""

from __future__ import annotations

import asyncio
import time

from .errors import Refused
from .identity import Caller

_LOOK_SECONDS = 0.5
_HELD_BODIES = 16


class Limits:
    """In the event loop's thread alone.

    max_body_bytes: of one request, also when it was sent compressed; per_caller: requests of one key or
    person under way; body_seconds: from a request's head to the last byte of its body.
    """

    def __init__(
        self, max_body_bytes: int = 16 * 2**20, per_caller: int = 128, body_seconds: float = 30
    ) -> None:
        self.max_body_bytes = max_body_bytes
        self._per_caller, self._body_seconds = per_caller, body_seconds
        self._under_way: dict[str, int] = {}
        self._reading: dict[asyncio.Task, float] = {}
        self._too_slow: set[asyncio.Task] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._look: asyncio.TimerHandle | None = None
        self._held = 0

    def enter(self, caller: Caller) -> str:
        """One more of this caller's; what is returned goes to `leave`. Raises Refused."""
        who = caller.key_id or caller.name
        count = self._under_way.get(who, 0)
        if count >= self._per_caller:
            raise Refused(
                "too_many_requests",
                f"{count} requests of {caller.name!r} are under way already: wait for their answers",
                None,
                1,
            )
        self._under_way[who] = count + 1
        return who

    def leave(self, who: str) -> None:
        count = self._under_way[who] - 1
        if count:
            self._under_way[who] = count
        else:
            del self._under_way[who]

    def hold(self, size: int) -> None:
        """So many bytes more are in memory, waiting for the rest of their bodies; raises Refused."""
        if self._held + size > _HELD_BODIES * self.max_body_bytes:
            raise Refused("overloaded", "too many large bodies are being received: try again", None, 5)
        self._held += size

    def let_go(self, size: int) -> None:
        self._held -= size

    def start_reading(self) -> asyncio.Task:
        """From now on the running task waits for its body; what is returned goes to `stop_reading`."""
        if self._loop is None:  # told once: in Python 3.11 to ask for it is a call of the system
            self._loop = asyncio.get_running_loop()
        task: asyncio.Task = asyncio.current_task(self._loop)  # type: ignore[assignment]
        self._reading[task] = time.monotonic()
        if self._look is None:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._look_for_slow_ones)
        return task

    def stop_reading(self, task: asyncio.Task) -> None:
        self._reading.pop(task, None)

    def was_too_slow(self, task: asyncio.Task) -> bool:
        """Whether it was for us that the task was cancelled; then it goes on."""
        if task not in self._too_slow:
            return False
        self._too_slow.discard(task)
        task.uncancel()
        return True

    def too_slow(self) -> Refused:
        return Refused(
            "body_too_slow", f"the body was not here within {self._body_seconds:g} seconds: send it faster"
        )

    def _look_for_slow_ones(self) -> None:
        """One timer for all, instead of one for each request."""
        self._look = None
        latest = time.monotonic() - self._body_seconds
        for task in [task for task, since in self._reading.items() if since <= latest]:
            del self._reading[task]
            self._too_slow.add(task)
            task.cancel()
        if self._reading:
            self._look = self._loop.call_later(_LOOK_SECONDS, self._look_for_slow_ones)
