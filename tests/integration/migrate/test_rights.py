"""Who managed what goes on managing it, under the names and numbers that it has in the stack."""

from __future__ import annotations

import secrets

import pytest
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

from infra.migrate import rights
from infra.migrate.names import Names
from tests.integration.migrate.conftest import REPOSITORY, Database, execute
from tests.support.postgres import PASSWORD


def store_of(url: str) -> SqlAlchemyStore:
    store = SqlAlchemyStore()
    store.init_db(url)
    return store


def user(store: SqlAlchemyStore, name: str, admin: bool = False) -> int:
    return store.create_user(name, secrets.token_urlsafe(16), is_admin=admin).id


def granted(store: SqlAlchemyStore, name: str) -> set[tuple[str, str, str]]:
    types = ["experiment", "registered_model", "prompt", "scorer"]
    return {tuple(row) for row in store.list_grants(store.get_user(name).id, "default", types)}


@pytest.fixture
def here(taken) -> SqlAlchemyStore:
    store = store_of(f"sqlite:///{taken.database(rights.DATABASE)}")
    user(store, "_slipway", admin=True)
    user(store, "root", admin=True)
    ada, zoe = user(store, "ada"), user(store, "zoe")
    store.grant_user_permission("ada", "experiment", "1", "MANAGE")
    store.grant_user_permission("ada", "registered_model", "red-blue", "MANAGE")
    store.grant_user_permission("zoe", "scorer", "1/safe", "EDIT")
    readers = store.create_role("hub:readers", "default", "").id
    store.add_role_permission(readers, "experiment", "1", "EDIT")
    for number in (ada, zoe):
        store.assign_role_to_user(number, readers)
    return store


@pytest.fixture
def rights_of_stack(postgres) -> Database:
    url = f"postgresql+psycopg2://stack:{PASSWORD}@127.0.0.1:{postgres.port}"
    name = f"r{secrets.token_hex(4)}"
    execute(url, f"CREATE DATABASE {name}")
    environment = {
        "BACKEND_STORE_URI": "sqlite://",
        "AUTH_DATABASE_URI": f"{url}/{name}",
        "PYTHONPATH": str(REPOSITORY / "services/mlflow"),
    }
    return Database(postgres.port, name, environment, rights.DATABASE)


def test_into_a_new_stack(taken, here, rights_of_stack):
    there = store_of(rights_of_stack.url)
    user(there, "_slipway", admin=True)
    counts = rights_of_stack.write(rights.sections(taken, rights_of_stack.look(rights.WANTED), Names()))
    assert counts == {"users": 3, "roles": 3, "role_permissions": 4, "user_role_assignments": 4}
    for name in ("ada", "zoe"):
        assert granted(there, name) == granted(here, name)
    assert there.get_user("root").is_admin
    # Numbers go on after those that were brought.
    there.grant_user_permission("zoe", "experiment", "7", "MANAGE")
    assert ("experiment", "7", "MANAGE") in granted(there, "zoe")


def test_beside_other_work_grants_follow_the_new_names_and_numbers(taken, here, rights_of_stack):
    there = store_of(rights_of_stack.url)
    user(there, "_slipway", admin=True)
    user(there, "ada")
    there.grant_user_permission("ada", "experiment", "1", "MANAGE")
    readers = there.create_role("hub:readers", "default", "").id
    there.add_role_permission(readers, "experiment", "5", "READ")
    names = Names(
        users={"ada": "ada-embedded"}, models={"red-blue": "red-blue-embedded"}, shift={"experiments": 10}
    )
    rights_of_stack.write(rights.sections(taken, rights_of_stack.look(rights.WANTED), names))
    assert granted(there, "ada") == {("experiment", "1", "MANAGE")}
    assert granted(there, "ada-embedded") == {
        ("experiment", "11", "MANAGE"),
        ("registered_model", "red-blue-embedded", "MANAGE"),
        ("experiment", "11", "EDIT"),
        ("experiment", "5", "READ"),
    }
    assert ("scorer", "11/safe", "EDIT") in granted(there, "zoe")


def test_an_instance_without_permissions_brings_none(taken, rights_of_stack):
    store_of(rights_of_stack.url)
    counts = rights_of_stack.write(rights.sections(taken, rights_of_stack.look(rights.WANTED), Names()))
    assert set(counts.values()) == {0}
