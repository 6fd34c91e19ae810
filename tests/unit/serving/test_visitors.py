"""Counting: nothing is lost while the database is away, and what is stored only grows by what is new."""

import threading

import pytest
from slipway_serving.identity import application
from slipway_serving.visitors import Flusher, Visitors
from slipway_serving.visitors_store import SqlStore
from sqlalchemy.engine import make_url

CALLER = application("shop", "k1", ["a"])


class FlakyStore:
    """A store in memory that can be switched off."""

    def __init__(self):
        self.counts, self.up = {}, True

    def add(self, increments):
        if not self.up:
            raise ConnectionError("connection refused")
        for key, count in increments.items():
            self.counts[key] = self.counts.get(key, 0) + count

    def totals(self):
        if not self.up:
            raise ConnectionError("connection refused")
        return dict(self.counts)


@pytest.fixture
def sqlite_url(tmp_path):
    return make_url(f"sqlite:///{tmp_path}/visitors.db")


def test_the_report_counts_per_model_and_version():
    visitors = Visitors(FlakyStore())
    for model, version in [("a", "1"), ("a", "2"), ("a", "2"), ("b", "1")]:
        visitors.count(model, version, CALLER)
    assert visitors.report() == {
        "models": {
            "a": {"total": 3, "versions": {"1": 1, "2": 2}},
            "b": {"total": 1, "versions": {"1": 1}},
        },
        "total": 4,
        "unsaved": 4,
    }


def test_while_the_database_is_away_counting_goes_on_and_is_added_once_later():
    store = FlakyStore()
    visitors = Visitors(store)
    store.up = False
    visitors.count("a", "1", CALLER)
    assert not visitors.flush()
    visitors.count("a", "1", CALLER)
    assert not visitors.flush()
    assert visitors.store_error == "connection refused"
    assert visitors.report()["total"] == 2
    store.up = True
    assert visitors.flush()
    assert visitors.flush()
    assert store.counts == {("a", "1"): 2}
    assert visitors.report() == {
        "models": {"a": {"total": 2, "versions": {"1": 2}}},
        "total": 2,
        "unsaved": 0,
    }


def test_counts_survive_a_restart_and_replicas_add_up(sqlite_url):
    first, second = Visitors(SqlStore(sqlite_url)), Visitors(SqlStore(sqlite_url))
    for visitors in (first, second, first):
        visitors.count("a", "1", CALLER)
        assert visitors.flush()
    second.flush()
    assert first.report()["total"] == second.report()["total"] == 3
    restarted = Visitors(SqlStore(sqlite_url))
    restarted.flush()
    assert restarted.report()["models"] == {"a": {"total": 3, "versions": {"1": 3}}}


def test_counting_from_many_threads_while_flushing_loses_nothing(sqlite_url):
    visitors = Visitors(SqlStore(sqlite_url))
    flusher = Flusher(visitors, seconds=0.01)
    flusher.start()
    threads = [
        threading.Thread(target=lambda: [visitors.count("a", "1", CALLER) for _ in range(2000)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    flusher.stop()
    assert SqlStore(sqlite_url).totals() == {("a", "1"): 16000}


def test_another_kind_of_database_is_refused_in_words():
    with pytest.raises(ValueError, match="Postgres or SQLite"):
        SqlStore(make_url("mysql://host/db"))
