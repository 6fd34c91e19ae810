"""Runs predictions in a bounded set of threads, so the event loop stays free and overload is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .errors import Refused


class Runner:
    def __init__(self, workers: int, max_pending: int):
        """workers: threads that predict; max_pending: requests being worked on or waiting, all together."""
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="predict")
        self._max_pending = max_pending
        self.pending = 0

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        """work(*args) in a thread; raises what it raises, or Refused at once where too many wait already."""
        if self.pending >= self._max_pending:
            raise Refused("overloaded", f"{self.pending} requests are waiting already: try again", None, 1)
        self.pending += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        # Counted until the thread is done, not until the caller has gone away.
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Finish what runs, drop what waits."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _done(self, future: asyncio.Future) -> None:
        self.pending -= 1
        if not future.cancelled():
            future.exception()  # taken here too, for a caller that has gone away
