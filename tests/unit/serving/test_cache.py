"""The copy on disk: complete or not there, pruned to what is needed, and readable after a crash."""

import os
import time

import pytest
from slipway_serving.cache import Kept, KeptModel, ModelCache
from slipway_serving.registry import Target

ONE, TWO, THREE = (Target("red-blue", str(number), 7) for number in (1, 2, 3))


def write(target, folder):
    (folder / "MLmodel").write_text(target.version)


def test_a_version_is_downloaded_once(tmp_path):
    cache, calls = ModelCache(tmp_path), []
    for _ in range(2):
        folder = cache.fetch(ONE, lambda target, folder: (calls.append(target), write(target, folder)))
    assert (folder / "MLmodel").read_text() == "1"
    assert calls == [ONE]


def test_a_download_that_breaks_off_leaves_nothing_that_looks_like_a_model(tmp_path):
    cache = ModelCache(tmp_path)

    def break_off(target, folder):
        write(target, folder)
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        cache.fetch(ONE, break_off)
    assert not cache.path(ONE).exists()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_replica_that_was_slower_uses_the_copy_of_the_faster_one(tmp_path):
    cache = ModelCache(tmp_path)

    def overtaken(target, folder):
        write(target, folder)
        ModelCache(tmp_path).fetch(target, write)

    assert (cache.fetch(ONE, overtaken) / "MLmodel").read_text() == "1"
    assert [path.name for path in cache.path(ONE).parent.iterdir()] == ["1-7"]


def test_a_model_registered_again_under_its_old_name_is_another_model(tmp_path):
    cache = ModelCache(tmp_path)
    assert cache.path(ONE) != cache.path(Target("red-blue", "1", 8))


@pytest.mark.parametrize("name", ["..", ".", "a b", "ü", "../../etc", "%2E"])
def test_no_name_leads_out_of_the_folder_or_to_another_name(tmp_path, name):
    cache = ModelCache(tmp_path)
    folder = cache.fetch(Target(name, "1", 7), write)
    assert folder.resolve().parent.parent == (tmp_path / "models").resolve()
    assert folder != cache.path(ONE)


def test_what_is_neither_live_nor_previous_is_removed(tmp_path):
    cache = ModelCache(tmp_path)
    other = Target("other", "1", 9)
    for target in (ONE, TWO, THREE, other):
        cache.fetch(target, write)
    cache.prune([TWO, THREE])
    assert [cache.path(t).exists() for t in (ONE, TWO, THREE, other)] == [False, True, True, False]
    assert not cache.path(other).parent.exists()


def test_leftovers_of_a_crash_are_swept_but_not_another_replicas_download(tmp_path):
    ModelCache(tmp_path)
    old, new = (tmp_path / "models" / "red-blue" / f".incoming-{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (time.time() - 9999,) * 2)
    ModelCache(tmp_path)
    assert (old.exists(), new.exists()) == (False, True)


def test_the_state_comes_back_as_it_was(tmp_path):
    state = {"red-blue": KeptModel(Kept(TWO, "2026-01-02"), Kept(ONE, "2026-01-01"))}
    ModelCache(tmp_path).remember(state)
    assert ModelCache(tmp_path).recall() == state
    assert sorted(path.name for path in tmp_path.iterdir()) == ["models", "state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": {"a": {}}}', '{"models": {"a": {"live": 1}}}'])
def test_a_state_that_cannot_be_read_is_no_state(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    assert ModelCache(tmp_path).recall() == {}
