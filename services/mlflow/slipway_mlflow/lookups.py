"""What MLflow asks its tables of permissions several times a request, remembered for two seconds, and no
longer than until the next change by any worker of this server.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Hashable
from typing import Any

from mlflow.server import auth
from mlflow.server.auth.db.models import SqlRole, SqlRolePermission, SqlUserRoleAssignment
from mlflow.server.auth.permissions import RESOURCE_TYPE_EXPERIMENT, RESOURCE_TYPE_RUN
from mlflow.server.auth.requirements import Requirement
from mlflow.server.auth.sqlalchemy_store import RoleGrantRow, SqlAlchemyStore
from sqlalchemy import event

from .generation import Generation

KEPT_SECONDS = 2.0
"""How long a right lives on that was withdrawn behind this server's back, such as by another server."""
MOST_KEPT = 10_000
MOST_RUNS = 100_000


class Lookups(SqlAlchemyStore):
    """MLflow's store of users and grants, with a memory."""

    def __init__(self, generation: Generation) -> None:
        super().__init__()
        self._generation = generation
        self._kept: dict[Hashable, tuple[bytes, float, Any]] = {}

    def init_db(self, db_uri: str, read_db_uri: str | None = None) -> None:
        super().init_db(db_uri, read_db_uri)
        watch(self.engine, self._generation)

    def get_user(self, username: str) -> Any:
        return self._remembered(("user", username), lambda: SqlAlchemyStore.get_user(self, username))

    def list_grants(
        self, user_id: int, workspace: str, resource_types: Collection[str]
    ) -> list[RoleGrantRow]:
        wanted = {*resource_types, "workspace"}
        every = self._remembered(("grants", user_id, workspace), lambda: self._grants(user_id, workspace))
        return [grant for grant in every if grant.resource_type in wanted]

    def _grants(self, user_id: int, workspace: str) -> list[RoleGrantRow]:
        with self.ManagedSessionMaker() as session:
            rows = (
                session.query(
                    SqlRolePermission.resource_type,
                    SqlRolePermission.resource_pattern,
                    SqlRolePermission.permission,
                )
                .join(SqlRole, SqlRole.id == SqlRolePermission.role_id)
                .join(SqlUserRoleAssignment, SqlRole.id == SqlUserRoleAssignment.role_id)
                .filter(SqlUserRoleAssignment.user_id == user_id, SqlRole.workspace == workspace)
                .all()
            )
            return [RoleGrantRow(*row) for row in rows]

    def _remembered(self, key: Hashable, ask: Callable[[], Any]) -> Any:
        generation, now = self._generation(), time.monotonic()
        kept = self._kept.get(key)
        if kept and kept[0] == generation and kept[1] > now:
            return kept[2]
        answer = ask()
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[key] = (generation, now + KEPT_SECONDS, answer)
        return answer


def watch(engine: Any, generation: Generation) -> None:
    """The generation goes on with each transaction in which this process has changed something there."""

    def changed(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip()[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            connection.info["changed"] = True

    def given_back(_: Any, record: Any) -> None:
        # After the commit, and before the request is answered.
        if record.info.pop("changed", False):
            generation.advance()

    event.listen(engine, "after_cursor_execute", changed)
    event.listen(engine, "checkin", given_back)


class ExperimentsOfRuns:
    """In place of MLflow's own look, which reads a whole run with its metrics to learn where it belongs.

    A run never leaves its experiment.
    """

    def __init__(self, ask: Callable[[str], Any]) -> None:
        self._ask = ask
        self._known: dict[str, str] = {}

    def __call__(self, run_id: str, action: str) -> Any:
        number = self._known.get(run_id)
        if number is None:
            run = self._ask(run_id)
            if run is None:
                return None
            if len(self._known) >= MOST_RUNS:
                self._known.clear()
            number = self._known[run_id] = run.info.experiment_id
        experiment = (RESOURCE_TYPE_EXPERIMENT, number)
        return experiment, [
            Requirement(RESOURCE_TYPE_EXPERIMENT, number, "read"),
            Requirement(RESOURCE_TYPE_RUN, "*", action, fallback_if_no_grant=(experiment,)),
        ]


def install(generation: Generation) -> Lookups:
    """Gives MLflow's module of permissions the two; before anything has been asked of it."""
    lookups = Lookups(generation)
    auth.store = lookups
    auth._run_requirement = ExperimentsOfRuns(
        lambda run_id: auth._fetch_or_none(auth._get_tracking_store().get_run, run_id)
    )
    return lookups
