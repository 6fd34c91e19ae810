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
THERE_ALREADY, NOT_THERE = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"


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
            # First: what changes from here on is seen at the next request.
            generation = self._generation()
            user = self._user(caller)
            self._roles(user.id, {ROLE_PREFIX + group for group in caller.groups})
            if len(self._seen) >= MOST_KEPT:
                self._seen.clear()
            self._seen[caller.name] = (caller, generation, self._now() + KEPT_SECONDS)

    def _user(self, caller: Caller) -> Any:
        try:
            user = self._store.get_user(caller.name)
        except MlflowException as error:
            _only(error, NOT_THERE)
            # Nobody logs in with it: who somebody is, the gateway says.
            password = secrets.token_urlsafe(32)
            try:
                user = self._store.create_user(caller.name, password, is_admin=caller.admin)
            except MlflowException as raced:
                _only(raced, THERE_ALREADY)
                user = self._store.get_user(caller.name)
        if user.is_admin != caller.admin:
            user = self._store.update_user(caller.name, is_admin=caller.admin)
        return user

    def _roles(self, user: int, wanted: set[str]) -> None:
        roles = self._store.list_user_roles(user)
        has = {role.name: role.id for role in roles if role.name.startswith(ROLE_PREFIX)}
        for name in sorted(wanted - has.keys()):
            try:
                self._store.assign_role_to_user(user, self._role(name))
            except MlflowException as raced:
                _only(raced, THERE_ALREADY)
        for name in has.keys() - wanted:
            try:
                self._store.unassign_role_from_user(user, has[name])
            except MlflowException as raced:
                _only(raced, NOT_THERE)

    def _role(self, name: str) -> int:
        try:
            return int(self._store.get_role_by_name(WORKSPACE, name).id)
        except MlflowException as error:
            _only(error, NOT_THERE)
        try:
            return int(self._store.create_role(name, WORKSPACE, "the hub's group of this name").id)
        except MlflowException as raced:
            _only(raced, THERE_ALREADY)
            return int(self._store.get_role_by_name(WORKSPACE, name).id)


def _only(error: MlflowException, code: str) -> None:
    if error.error_code != code:
        raise error
