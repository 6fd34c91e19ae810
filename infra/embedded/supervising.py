"""Becomes the supervisor: `python -m infra.embedded.supervising -c CONFIGURATION`. Runs inside the platform's
environment.

When it cannot write to a log it says so on its error stream; where that fails too, for the disk is full, it
would end, and all services with it.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TextIO

from supervisor import supervisord


class Forgiving:
    """A stream whose words may be lost."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.flush()


if __name__ == "__main__":
    sys.stderr = Forgiving(sys.stderr)
    supervisord.main()
