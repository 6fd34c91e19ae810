"""Gives experiments and models that were made before there were permissions to those who made them, once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import NamedTuple

from mlflow.exceptions import MlflowException
from mlflow.server import auth
from mlflow.server.auth.db.models import SqlRolePermission
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion, SqlRegisteredModelTag
from mlflow.store.tracking.dbmodels.models import SqlRun, SqlTag
from sqlalchemy import Connection, create_engine, select

from .identity import USER_NAME
from .mirror import WORKSPACE

OF_NOBODY = 0
"""The experiment Default."""
NOT_A_PERSON = {"root", "unknown"}
"""What MLflow's client writes where the operating system knows nobody."""


class Made(NamedTuple):
    kind: str
    resource: str
    by: str


def prepare_permissions(database: str) -> None:
    """The tables, the built-in administrator, at the first start the makers. Repeated, it does nothing."""
    auth.bootstrap_admin_user()
    store = auth.store
    with store.ManagedSessionMaker() as session:
        if session.query(SqlRolePermission.id).first() is not None:
            return
    engine = create_engine(database)
    try:
        with engine.connect() as connection:
            found = list(made(connection))
    finally:
        engine.dispose()
    give(store, found)
    store.engine.dispose()
    if found:
        print(f"mlflow: {len(found)} experiments and models now belong to those who made them")


def made(connection: Connection) -> Iterator[Made]:
    """By the person whose run is the first in an experiment, or that a model's first version comes from."""
    tag = select(SqlTag.value).where(SqlTag.run_uuid == SqlRun.run_uuid, SqlTag.key == "mlflow.user")
    person = tag.scalar_subquery()
    seen: set[int] = set()
    runs = select(SqlRun.experiment_id, person, SqlRun.user_id).order_by(SqlRun.start_time, SqlRun.run_uuid)
    for experiment, tagged, user in connection.execute(runs):
        if experiment not in seen and experiment != OF_NOBODY and (by := a_person(tagged or user)):
            yield Made("experiment", str(experiment), by)
        seen.add(experiment)

    is_prompt = SqlRegisteredModelTag.key == "mlflow.prompt.is_prompt"
    prompts = set(connection.scalars(select(SqlRegisteredModelTag.name).where(is_prompt)))
    models: set[str] = set()
    versions = (
        select(SqlModelVersion.name, person, SqlRun.user_id)
        .join(SqlRun, SqlRun.run_uuid == SqlModelVersion.run_id, isouter=True)
        .order_by(SqlModelVersion.name, SqlModelVersion.version)
    )
    for name, tagged, user in connection.execute(versions):
        if name not in models and (by := a_person(tagged or user)):
            yield Made("prompt" if name in prompts else "registered_model", name, by)
        models.add(name)


def a_person(name: str | None) -> str | None:
    return name if name and USER_NAME.fullmatch(name) and name not in NOT_A_PERSON else None


def give(store: SqlAlchemyStore, found: list[Made]) -> None:
    """All grants or none: with the first of them this is over."""
    users = {}
    for name in {one.by for one in found}:
        try:
            users[name] = store.create_user(name, secrets.token_urlsafe(32)).id
        except MlflowException:
            users[name] = store.get_user(name).id
    with store.ManagedSessionMaker(read_only=False) as session:
        for one in found:
            role = store._get_or_create_synthetic_user_role(session, users[one.by], WORKSPACE)
            session.add(
                SqlRolePermission(
                    role_id=role.id,
                    resource_type=one.kind,
                    resource_pattern=one.resource,
                    permission="MANAGE",
                )
            )
