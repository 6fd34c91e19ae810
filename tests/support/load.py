"""An application that asks for predictions without a pause, and what it was answered and when.

Runs in a thread of its own, so that a test can roll out, stop and start things meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp


@dataclass(frozen=True, slots=True)
class Answer:
    """sent, came: seconds of time.monotonic(). status: 0 where the connection broke. said: the body, as JSON
    where it is."""

    sent: float
    came: float
    status: int
    said: Any

    @property
    def version(self) -> str | None:
        return self.said.get("version") if self.status == 200 else None

    @property
    def seconds(self) -> float:
        return self.came - self.sent


class Load:
    """`with Load(url, headers, body) as load: …`; afterwards `load.answers` has every one.

    pause: seconds each client rests between an answer and its next request, so that on a small machine the
    clients leave something to what they measure.
    """

    def __init__(
        self,
        url: str,
        headers: dict[str, str],
        body: bytes | dict[str, Any],
        clients: int = 8,
        pause: float = 0.02,
        patience: float = 60,
    ) -> None:
        self.url, self.headers = url, headers
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.clients, self.pause, self.patience = clients, pause, patience
        self.answers: list[Answer] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(self.patience + 10)
        assert not self._thread.is_alive(), "a client still waits for an answer"

    async def _run(self) -> None:
        connector = aiohttp.TCPConnector(limit=self.clients)
        timeout = aiohttp.ClientTimeout(total=self.patience)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._client(session) for _ in range(self.clients)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        headers = {**self.headers, "Content-Type": "application/json"}
        while not self._stop.is_set():
            sent, said = time.monotonic(), None
            try:
                async with session.post(self.url, data=self.body, headers=headers) as answer:
                    text = await answer.read()
                    status = answer.status
                said = json.loads(text) if "json" in answer.content_type else text.decode(errors="replace")
            except (aiohttp.ClientError, TimeoutError) as error:
                status, said = 0, repr(error)
            self.answers.append(Answer(sent, time.monotonic(), status, said))
            await asyncio.sleep(self.pause)

    def failed(self) -> list[Answer]:
        return [one for one in self.answers if one.status != 200]

    def summary(self) -> str:
        """For a failing test's message: how many of each kind, and the first few that were no answers."""
        count = Counter(one.status for one in self.answers)
        began = min((one.sent for one in self.answers), default=0)
        first = [
            f"{one.sent - began:.2f} s, {one.seconds:.2f} s: {one.status} {one.said}" for one in self.failed()
        ]
        return f"{dict(count)}\n" + "\n".join(line[:300] for line in first[:10])


def percentile(seconds: Iterable[float], percent: float) -> float:
    """In milliseconds; of nothing, nothing."""
    ordered = sorted(seconds)
    if not ordered:
        return float("nan")
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
