"""Brings one version of a model to life in a thread of its own, until it is live or not wanted any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import tenacity

from .errors import first_line
from .model import ServedModel
from .registry import Target

log = logging.getLogger(__name__)


class Rollout:
    """prepare(target) is tried until it returns; after each failure there is a longer pause."""

    def __init__(
        self,
        target: Target,
        prepare: Callable[[Target], ServedModel],
        ready: Callable[[ServedModel], None],
        failed: Callable[[Target, str, int, float], None],
        wait: Callable[[tenacity.RetryCallState], float],
    ):
        """failed gets the target, the reason, how often it was tried, and the seconds until the next try."""
        self.target = target
        self._prepare = prepare
        self._ready = ready
        self._failed = failed
        self._wait = wait
        self._cancelled = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"rollout-{target.name}-{target.version}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def cancel(self) -> None:
        """It is not wanted any more: no further try, and what is being loaded now will not be told of."""
        self._cancelled.set()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    def _run(self) -> None:
        retrying = tenacity.Retrying(
            wait=self._wait,
            stop=tenacity.stop_when_event_set(self._cancelled),
            sleep=tenacity.sleep_using_event(self._cancelled),
            before_sleep=self._tell,
            reraise=True,
        )
        try:
            model = retrying(self._prepare, self.target)
        except Exception as error:
            log.info(
                "a version is not wanted any more", extra={**self._where(), "last_error": first_line(error)}
            )
            return
        if not self._cancelled.is_set():
            self._ready(model)

    def _tell(self, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        reason = str(error).splitlines()[0] if error and str(error) else first_line(error or RuntimeError())
        log.error(
            "a version cannot be served, the one before it stays",
            extra={**self._where(), "reason": reason, "attempts": state.attempt_number, "next_try_in": pause},
            exc_info=error,
        )
        self._failed(self.target, reason, state.attempt_number, pause)

    def _where(self) -> dict[str, str]:
        return {"model": self.target.name, "version": self.target.version}
