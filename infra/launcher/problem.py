"""The one error of the launcher: what is wrong, and what to do about it."""

from __future__ import annotations

from typing import NoReturn

FAILED = 1
PRECONDITION = 2


class Problem(Exception):
    """Shown to the person without a stack trace.

    `what` says what is wrong, `remedy` what to do (may be empty), `status` is the exit status: FAILED if
    something was tried and did not work, PRECONDITION if nothing was tried (wrong usage, a machine that is
    not ready).
    """

    def __init__(self, what: str, remedy: str = "", status: int = FAILED) -> None:
        super().__init__(what)
        self.what, self.remedy, self.status = what, remedy, status

    def __str__(self) -> str:
        return f"{self.what}\n  {self.remedy}" if self.remedy else self.what


class Interrupted(BaseException):
    """Ctrl-C or a signal to end. Not an Exception, so that no handler of errors swallows it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.status = 128 + signal_number


def raise_interrupted(signal_number: int, _frame: object) -> NoReturn:
    """A handler for signal.signal."""
    raise Interrupted(signal_number)
