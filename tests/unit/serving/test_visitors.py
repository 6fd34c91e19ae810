"""Counting: nothing is lost and nothing counted twice, whatever becomes of the database and of processes."""

import os
import sqlite3
import threading

import pytest
from slipway_serving.identity import application, person
from slipway_serving.visitors import Flusher, Visitors
from slipway_serving.visitors_journal import Journals
from slipway_serving.visitors_store import SqlStore
from sqlalchemy.engine import make_url

SHOP, ADA = application("shop", "k1", ["a"]), person("ada")


class FlakyStore:
    """A store in memory that can be away, or fail after it has kept what it was given."""

    def __init__(self):
        self.counts, self.up, self.confirms = {}, True, True

    def save(self, source, counts):
        if not self.up:
            raise ConnectionError("connection refused")
        for key, count in counts.items():
            self.counts[source, *key] = max(count, self.counts.get((source, *key), 0))
        if not self.confirms:
            raise ConnectionError("the connection broke before the answer")

    def others(self, source):
        if not self.up:
            raise ConnectionError("connection refused")
        found = {}
        for (owner, *key), count in self.counts.items():
            if owner != source:
                found[tuple(key)] = found.get(tuple(key), 0) + count
        return found


@pytest.fixture
def sqlite_url(tmp_path):
    return make_url(f"sqlite:///{tmp_path}/visitors.db")


def stored(url):
    """What the database says by itself."""
    store = SqlStore(url)
    try:
        return sum(store.others("nobody").values())
    finally:
        store.close()


def test_the_report_counts_per_model_version_and_caller():
    visitors = Visitors(FlakyStore())
    for model, version, caller in [
        ("a", "1", SHOP),
        ("a", "2", SHOP),
        ("a", "2", ADA),
        ("a", "2", ADA),
        ("b", "1", ADA),
    ]:
        visitors.count(model, version, caller)
    visitors.count("a", "2", ADA)
    assert visitors.report() == {
        "models": {
            "a": {
                "total": 5,
                "versions": {"1": 1, "2": 4},
                "callers": [
                    {"kind": "person", "name": "ada", "total": 3, "versions": {"2": 3}},
                    {"kind": "application", "name": "shop", "total": 2, "versions": {"1": 1, "2": 1}},
                ],
            },
            "b": {
                "total": 1,
                "versions": {"1": 1},
                "callers": [{"kind": "person", "name": "ada", "total": 1, "versions": {"1": 1}}],
            },
        },
        "total": 6,
        "unsaved": 6,
    }


def test_an_application_is_told_of_its_models_and_of_no_other_caller():
    visitors = Visitors(FlakyStore())
    for model, caller in [("a", SHOP), ("a", ADA), ("b", ADA)]:
        visitors.count(model, "1", caller)
    told = visitors.report_for(SHOP)
    assert (told["total"], list(told["models"])) == (2, ["a"])
    assert [one["name"] for one in told["models"]["a"]["callers"]] == ["shop"]
    assert [one["name"] for one in visitors.report_for(ADA)["models"]["a"]["callers"]] == ["shop", "ada"]


def test_while_the_database_is_away_counting_goes_on_and_is_saved_once_later():
    store = FlakyStore()
    visitors = Visitors(store)
    store.up = False
    visitors.count("a", "1", ADA)
    assert not visitors.flush()
    visitors.count("a", "1", ADA)
    assert not visitors.flush()
    assert visitors.store_error == "connection refused"
    assert visitors.report()["total"] == visitors.report()["unsaved"] == 2
    store.up = True
    assert visitors.flush()
    assert visitors.flush()
    assert sum(store.counts.values()) == visitors.report()["total"] == 2
    assert (visitors.report()["unsaved"], visitors.store_error) == (0, None)


def test_a_flush_that_was_kept_but_not_confirmed_counts_once():
    store = FlakyStore()
    visitors = Visitors(store)
    visitors.count("a", "1", ADA)
    store.confirms = False
    assert not visitors.flush()
    visitors.count("a", "1", ADA)
    assert not visitors.flush()
    store.confirms = True
    assert visitors.flush()
    assert sum(store.counts.values()) == visitors.report()["total"] == 2


def test_replicas_add_up_and_a_restart_goes_on_where_it_was(sqlite_url, tmp_path):
    folder = tmp_path / "journals"
    first, second = (Visitors(SqlStore(sqlite_url), Journals(folder)) for _ in range(2))
    for visitors in (first, second, first):
        visitors.count("a", "1", SHOP)
        assert visitors.flush()
    second.flush()
    assert first.report()["total"] == second.report()["total"] == 3
    first.close()
    restarted = Visitors(SqlStore(sqlite_url), Journals(folder))
    restarted.count("a", "1", SHOP)
    assert restarted.flush()
    assert restarted.report()["total"] == stored(sqlite_url) == 4
    assert len(list(folder.iterdir())) == 2, "a restarted process takes over the journal of the one before"


def test_what_a_killed_process_had_not_flushed_is_counted_by_the_next(sqlite_url, tmp_path):
    """Killed: nothing is flushed, nothing closed; the kernel lets go of the lock."""
    folder = tmp_path / "journals"
    child = os.fork()
    if child == 0:
        visitors = Visitors(FlakyStore(), Journals(folder))
        for _ in range(1000):
            visitors.count("a", "1", SHOP)
        visitors.count("a", "2", person("zoë"))
        os.kill(os.getpid(), 9)
    assert os.waitpid(child, 0)[1] == 9
    restarted = Visitors(SqlStore(sqlite_url), Journals(folder))
    restarted.count("a", "1", SHOP)
    assert restarted.flush()
    assert restarted.report()["models"]["a"]["versions"] == {"1": 1001, "2": 1}
    assert stored(sqlite_url) == 1002


def test_what_a_replica_that_is_gone_had_counted_is_handed_in_by_another(sqlite_url, tmp_path):
    gone, stays = (Visitors(SqlStore(sqlite_url), Journals(tmp_path / "journals")) for _ in range(2))
    gone.count("a", "1", SHOP)
    stays.flush()
    assert stays.report()["total"] == 0, "it is still there and tells it itself"
    gone.close()
    for _ in range(2):
        assert stays.flush()
        assert stays.report()["total"] == stored(sqlite_url) == 1


def test_a_journal_that_was_cut_off_is_good_up_to_there(tmp_path):
    folder = tmp_path / "journals"
    before = Visitors(FlakyStore(), Journals(folder))
    for name in ("ada", "bob"):
        before.count("a", "1", person(name))
    before.close()
    (journal,) = folder.iterdir()
    written = journal.read_bytes().rstrip(b"\0")
    journal.write_bytes(written[:-3])
    after = Visitors(FlakyStore(), Journals(folder))
    after.count("a", "1", person("eve"))
    after.close()
    again = Visitors(FlakyStore(), Journals(folder))
    assert {one["name"]: one["total"] for one in again.report()["models"]["a"]["callers"]} == {
        "ada": 1,
        "eve": 1,
    }


def test_a_journal_grows_with_the_callers_and_is_read_whole(tmp_path):
    folder = tmp_path / "journals"
    before = Visitors(FlakyStore(), Journals(folder))
    callers = [person(f"{number:04}" + "x" * 100) for number in range(1000)]
    for caller in callers * 2:
        before.count("a", "1", caller)
    before.close()
    again = Visitors(FlakyStore(), Journals(folder))
    told = again.report()["models"]["a"]["callers"]
    assert {one["name"]: one["total"] for one in told} == {caller.name: 2 for caller in callers}


def test_a_full_disk_stops_the_journal_and_not_the_counting(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, place: 0)
    folder = tmp_path / "journals"
    visitors = Visitors(FlakyStore(), Journals(folder))
    visitors.count("a", "1", ADA)
    monkeypatch.undo()
    visitors.count("a", "1", ADA)
    visitors.close()
    assert Visitors(FlakyStore(), Journals(folder)).report()["total"] == 2


def test_without_a_place_for_the_journal_it_counts_all_the_same(tmp_path):
    (tmp_path / "file").write_text("")
    visitors = Visitors(FlakyStore(), Journals(tmp_path / "file" / "journals"))
    visitors.count("a", "1", ADA)
    assert visitors.flush()
    assert visitors.report()["total"] == 1


def test_counts_of_older_releases_stay_and_are_of_nobody(sqlite_url, tmp_path):
    with sqlite3.connect(sqlite_url.database) as database:
        database.execute(
            "CREATE TABLE visitors (model TEXT, version TEXT, count BIGINT, PRIMARY KEY (model, version))"
        )
        database.execute("INSERT INTO visitors VALUES ('a', '1', 7)")
    visitors = Visitors(SqlStore(sqlite_url))
    visitors.count("a", "1", ADA)
    assert visitors.flush()
    model = visitors.report()["models"]["a"]
    assert (model["total"], model["versions"]) == (8, {"1": 8})
    assert model["callers"][0] == {"kind": None, "name": None, "total": 7, "versions": {"1": 7}}


def test_counting_while_flushing_loses_nothing(sqlite_url):
    visitors = Visitors(SqlStore(sqlite_url))
    flusher = Flusher(visitors, seconds=0.001)
    flusher.start()
    counting = threading.Thread(target=lambda: [visitors.count("a", str(i % 50), ADA) for i in range(20_000)])
    counting.start()
    counting.join()
    flusher.stop()
    assert stored(sqlite_url) == visitors.report()["total"] == 20_000


def test_another_kind_of_database_is_refused_in_words():
    with pytest.raises(ValueError, match="Postgres or SQLite"):
        SqlStore(make_url("mysql://host/db"))
