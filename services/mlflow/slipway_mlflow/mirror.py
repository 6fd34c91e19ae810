"""MLflow's own tables of users and roles follow what the gateway says: a user for everybody who comes, with
the hub's word on who is an administrator, and for the hub's group G the role `hub:G`, which administrators
can give permissions to.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from mlflow.exceptions import MlflowException

from .identity import Caller

ROLE_PREFIX = "hub:"
WORKSPACE = "default"
KEPT_SECONDS = 5.0
"""How long a person's state is taken to be in the tables if no worker of this server has changed them."""
MOST_KEPT = 10_000
NOT_THERE = "RESOURCE_DOES_NOT_EXIST"
TRIES = 5


class Mirror:
    def __init__(
        self, store: Any, generation: Callable[[], bytes], now: Callable[[], float] = time.monotonic
    ):
        self._store, self._generation, self._now = store, generation, now
        self._seen: dict[str, tuple[Caller, bytes, float]] = {}
        self._lock = threading.Lock()

    def is_stale(self, caller: Caller) -> bool:
        """Whether the tables may say something else of the caller than this request does."""
        seen = self._seen.get(caller.name)
        return seen is None or seen[0] != caller or seen[1] != self._generation() or seen[2] < self._now()

    def bring_up_to_date(self, caller: Caller) -> None:
        with self._lock:
            if not self.is_stale(caller):
                return
            for left in reversed(range(TRIES)):
                # First: what changes from here on is seen at the next request.
                generation = self._generation()
                try:
                    user = self._user(caller)
                    self._roles(user.id, {ROLE_PREFIX + group for group in caller.groups})
                    break
                except MlflowException:
                    # Another worker does the same at this moment: now its work is there to be seen.
                    if not left:
                        raise
            if len(self._seen) >= MOST_KEPT:
                self._seen.clear()
            self._seen[caller.name] = (caller, generation, self._now() + KEPT_SECONDS)

    def _user(self, caller: Caller) -> Any:
        try:
            user = self._store.get_user(caller.name)
        except MlflowException as error:
            if error.error_code != NOT_THERE:
                raise
            # Nobody logs in with it: who somebody is, the gateway says.
            password = secrets.token_urlsafe(32)
            return self._store.create_user(caller.name, password, is_admin=caller.admin)
        if user.is_admin != caller.admin:
            user = self._store.update_user(caller.name, is_admin=caller.admin)
        return user

    def _roles(self, user: int, wanted: set[str]) -> None:
        roles = self._store.list_user_roles(user)
        has = {role.name: role.id for role in roles if role.name.startswith(ROLE_PREFIX)}
        for name in sorted(wanted - has.keys()):
            self._store.assign_role_to_user(user, self._role(name))
        for name in sorted(has.keys() - wanted):
            self._store.unassign_role_from_user(user, has[name])

    def _role(self, name: str) -> int:
        try:
            role = self._store.get_role_by_name(WORKSPACE, name)
        except MlflowException as error:
            if error.error_code != NOT_THERE:
                raise
            role = self._store.create_role(name, WORKSPACE, "the hub's group of this name")
        return int(role.id)
