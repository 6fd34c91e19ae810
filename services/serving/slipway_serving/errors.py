"""The one error a caller is shown: what is wrong, where, what to do. Its HTTP status is the edge's affair."""

from __future__ import annotations


class Refused(Exception):
    """A request that is not answered with predictions.

    code: a short stable word for programs (`missing_column`); message: a sentence for people;
    field: the place in the request (`inputs[3].Coord_X`) or None; retry_after: seconds, where waiting helps.
    """

    def __init__(self, code: str, message: str, field: str | None = None, retry_after: int | None = None):
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after = retry_after


def first_line(error: BaseException, limit: int = 300) -> str:
    """The error's kind and the first line of what it says: enough to act on, without a stack trace."""
    lines = str(error).strip().splitlines()
    said = lines[0].strip() if lines else ""
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    return text if len(text) <= limit else text[: limit - 1] + "…"
