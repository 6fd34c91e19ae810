"""A connection to MLflow that ends in the middle of what a command does."""

from __future__ import annotations

from typing import Any

_WRITES = ("set_", "delete_", "transition_")


class Breaks:
    """A client whose connection ends before its n-th write."""

    def __init__(self, client: Any, writes: int):
        self._client, self._left = client, writes

    def __getattr__(self, called: str) -> Any:
        def write(*arguments, **named):
            if self._left == 0:
                raise ConnectionResetError("the connection ended")
            self._left -= 1
            return getattr(self._client, called)(*arguments, **named)

        return write if called.startswith(_WRITES) else getattr(self._client, called)
