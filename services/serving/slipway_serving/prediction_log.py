"""Keeps a share of the answered requests, inputs and predictions both, as Parquet files.

Off unless SERVING_LOG_SHARE says otherwise. A request only leaves a reference in a bounded queue; a thread
makes files of it. Where the store is away, slow or refuses, the queue fills and what comes after is dropped
and counted: answers never wait for the log.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import first_line
from .prediction_files import Destination
from .prediction_rows import size_of, to_parquet

if TYPE_CHECKING:
    from .observations import Exchange

log = logging.getLogger(__name__)
MAX_ROWS, MAX_BYTES = 100_000, 64 * 1024 * 1024
FILE_ROWS = 20_000
"""As many make a file before its time has come."""
STOP_SECONDS = 8


@dataclass(frozen=True, slots=True)
class Record:
    """time: seconds since 1970; bytes: what it holds, estimated."""

    time: float
    request_id: str
    exchange: Exchange
    bytes: int

    @property
    def place(self) -> tuple[str, str, str]:
        """model, version and day."""
        target = self.exchange.model.target  # type: ignore[union-attr]
        return target.name, target.version, time.strftime("%Y-%m-%d", time.gmtime(self.time))


class PredictionLog:
    """share: of requests; rows_per_second: on average at most, what is beyond is dropped; flush_seconds: how
    long a row waits for others to make a file with.
    """

    def __init__(
        self,
        destination: Destination,
        share: float,
        *,
        rows_per_second: float = 1000,
        flush_seconds: float = 60,
        max_rows: int = MAX_ROWS,
        max_bytes: int = MAX_BYTES,
        draw: Callable[[], float] = random.random,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.dropped: Counter[str] = Counter()
        """Rows by reason: `rate`, `full` or `unwritable`."""
        self.written = 0
        self.error: str | None = None
        self._destination, self._share, self._draw, self._now = destination, share, draw, now
        self._flush_seconds, self._max_rows, self._max_bytes = flush_seconds, max_rows, max_bytes
        # Rows that may come in at once, refilled as time goes by.
        self._rate, self._tokens, self._filled = rows_per_second, rows_per_second, now()
        self._new: list[Record] = []
        self._taken: list[Record] = []
        """By the thread, and in no file yet."""
        self._held_rows = self._held_bytes = 0
        self._lock = threading.Lock()
        self._wake, self._stopping = threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """One last try for what waits; a store that hangs is not waited for."""
        self._stopping = True
        self._wake.set()
        self._thread.join(STOP_SECONDS)

    @property
    def waiting(self) -> int:
        """Rows that are in no file yet."""
        return self._held_rows

    def keep(self, exchange: Exchange, request_id: str) -> None:
        """An answered request, in the event loop's thread."""
        if self._draw() >= self._share:
            return
        now = self._now()
        self._tokens = min(self._tokens + (now - self._filled) * self._rate, self._rate)
        self._filled = now
        if self._tokens <= 0:
            self.dropped["rate"] += exchange.rows
            return
        self._tokens -= exchange.rows
        record = Record(now, request_id, exchange, size_of(exchange))
        with self._lock:
            if (
                self._held_rows + exchange.rows > self._max_rows
                or self._held_bytes + record.bytes > self._max_bytes
            ):
                self.dropped["full"] += exchange.rows
                return
            self._held_rows += exchange.rows
            self._held_bytes += record.bytes
            self._new.append(record)
        if self._held_rows >= FILE_ROWS:
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait(self._flush_seconds)
            stopping = self._stopping
            self._wake.clear()
            try:
                self.flush()
            except Exception:
                log.exception("the log of predictions failed, and goes on")
            if stopping:
                return
            if self.error:  # a full queue would wake this at once: a store that is away is given time
                time.sleep(min(self._flush_seconds, 5))

    def flush(self) -> None:
        """Write what waits. What the store does not take is left for the next time."""
        with self._lock:
            new, self._new = self._new, []
        by_place: defaultdict[tuple[str, str, str], list[Record]] = defaultdict(list)
        for record in (*self._taken, *new):
            by_place[record.place].append(record)
        files = [(place, some) for place, records in by_place.items() for some in _files_of(records)]
        for i, (place, some) in enumerate(files):
            if not self._write(place, some):
                self._taken = [record for _, left in files[i:] for record in left]
                return
        self._taken = []

    def _write(self, place: tuple[str, str, str], records: list[Record]) -> bool:
        """False where the store does not take it."""
        rows = sum(record.exchange.rows for record in records)
        try:
            content = to_parquet(records)
        except Exception as error:
            log.warning(
                "predictions cannot be logged", extra={"model": place[0], "reason": first_line(error)}
            )
            self.dropped["unwritable"] += rows
            self._let_go(records)
            return True
        try:
            self._destination.write(*place, content)
        except Exception as error:  # of the operating system, or the S3 client's own
            if self.error is None:
                log.warning("the store of logged predictions is away", extra={"reason": first_line(error)})
            self.error = first_line(error)
            return False
        if self.error is not None:
            log.info("the store of logged predictions is back")
        self.error = None
        self.written += rows
        self._let_go(records)
        return True

    def _let_go(self, records: list[Record]) -> None:
        with self._lock:
            self._held_rows -= sum(record.exchange.rows for record in records)
            self._held_bytes -= sum(record.bytes for record in records)


def _files_of(records: list[Record]) -> Iterator[list[Record]]:
    """Of about FILE_ROWS rows each."""
    some, rows = [], 0
    for record in records:
        some.append(record)
        rows += record.exchange.rows
        if rows >= FILE_ROWS:
            yield some
            some, rows = [], 0
    if some:
        yield some
