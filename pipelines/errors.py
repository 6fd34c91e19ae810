"""The one error that a person is shown: a sentence that says what is wrong and what to do."""

from __future__ import annotations


class PipelineError(Exception):
    """What was asked for cannot be done; the message names the field and the remedy."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    said = str(error).strip().splitlines()
    return said[0] if said else type(error).__name__
