"""When MLflow's tables of users are looked at, and when not."""

from __future__ import annotations

import pytest
from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore
from slipway_mlflow.generation import Generation
from slipway_mlflow.identity import Caller
from slipway_mlflow.mirror import KEPT_SECONDS, Mirror


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path) -> SqlAlchemyStore:
    made = SqlAlchemyStore()
    made.init_db(f"sqlite:///{tmp_path}/auth.db")
    return made


def roles(store: SqlAlchemyStore, name: str) -> set[str]:
    return {role.name for role in store.list_user_roles(store.get_user(name).id)}


def test_it_follows_every_change(store):
    mirror = Mirror(store, Generation())
    for admin, groups in [(False, "ab"), (True, "b"), (False, ""), (False, "c")]:
        caller = Caller("alice", admin, frozenset(groups))
        assert mirror.is_stale(caller)
        mirror.bring_up_to_date(caller)
        assert not mirror.is_stale(caller)
        assert store.get_user("alice").is_admin == admin
        assert roles(store, "alice") == {f"hub:{group}" for group in groups}


def test_other_roles_than_the_hubs_are_left_alone(store):
    mirror = Mirror(store, Generation())
    mirror.bring_up_to_date(Caller("alice"))
    role = store.create_role("reviewers", "default", "").id
    store.assign_role_to_user(store.get_user("alice").id, role)
    mirror.bring_up_to_date(Caller("alice", groups=frozenset("a")))
    mirror.bring_up_to_date(Caller("alice"))
    assert roles(store, "alice") == {"reviewers"}


def test_what_another_worker_has_changed_is_looked_at(store):
    generation, clock = Generation(), Clock()
    one, other = Mirror(store, generation, clock), Mirror(store, generation, clock)
    administrator, now_none = Caller("alice", admin=True), Caller("alice")
    one.bring_up_to_date(now_none)
    other.bring_up_to_date(administrator)
    generation.advance()
    assert one.is_stale(now_none)
    one.bring_up_to_date(now_none)
    assert not store.get_user("alice").is_admin


def test_nothing_is_believed_for_long(store):
    clock = Clock()
    mirror = Mirror(store, Generation(), clock)
    mirror.bring_up_to_date(Caller("alice"))
    clock.now += KEPT_SECONDS + 0.1
    assert mirror.is_stale(Caller("alice"))


def test_a_generation_is_shared_through_its_file(tmp_path):
    one, other = Generation(tmp_path / "generation"), Generation(tmp_path / "generation")
    before = other()
    one.advance()
    assert other() == one() != before
