"""The copy on disk: complete or not there, pruned to what is needed, and readable after a crash."""

import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from slipway_serving.cache import Kept, KeptModel, ModelCache
from slipway_serving.manifest import Damaged
from slipway_serving.registry import Target

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / "services" / "serving")}

ONE, TWO, THREE = (Target("red-blue", str(number), 7) for number in (1, 2, 3))


def write(target, folder):
    (folder / "MLmodel").write_text(target.version)


def files(folder):
    """All but the locks, which are empty."""
    return [path for path in folder.rglob("*") if path.is_file() and path.parent.name != "locks"]


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
    assert files(tmp_path) == []


def test_replicas_that_want_the_same_version_at_once_download_it_once(tmp_path):
    calls, begun, go_on = [], threading.Event(), threading.Event()

    def slowly(target, folder):
        calls.append(target)
        begun.set()
        assert go_on.wait(5)
        write(target, folder)

    replicas = [ModelCache(tmp_path) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(replicas[0].fetch, ONE, slowly)
        assert begun.wait(5)
        others = [pool.submit(replica.fetch, ONE, slowly) for replica in replicas[1:]]
        go_on.set()
        paths = {one.result(10) for one in (first, *others)}
    assert calls == [ONE]
    assert [path.name for path in paths] == ["1-7"]


def test_a_download_that_failed_leaves_the_next_replica_to_try(tmp_path):
    def fail(target, folder):
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError):
        ModelCache(tmp_path).fetch(ONE, fail)
    assert ModelCache(tmp_path).fetch(ONE, write).is_dir()


def test_what_another_replica_uses_or_fetches_is_not_removed(tmp_path):
    mine, theirs = ModelCache(tmp_path), ModelCache(tmp_path)
    for target in (ONE, TWO):
        mine.fetch(target, write)
    assert theirs.sound(ONE)
    mine.prune([TWO])
    assert mine.path(ONE).exists()
    theirs.prune([TWO])
    assert not mine.path(ONE).exists()


def test_what_a_process_that_is_gone_used_is_removed(tmp_path):
    """The system gives up its locks, however it ended."""
    code = (
        "import os, sys; from pathlib import Path; from slipway_serving.locks import Locks;"
        " Locks(Path(sys.argv[1])).hold('red-blue@1-7'); os.kill(os.getpid(), 9)"
    )
    mine = ModelCache(tmp_path)
    mine.fetch(ONE, write)
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "locks")], env=ENVIRONMENT, check=False)
    mine.prune([])
    assert not mine.path(ONE).exists()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "MLmodel").write_text("2"),
        lambda folder: (folder / "MLmodel").write_text("longer"),
        lambda folder: (folder / "MLmodel").unlink(),
        lambda folder: (folder / "more").write_text("x"),
        lambda folder: (folder / ".slipway" / "manifest.json").write_text("{"),
    ],
)
def test_a_copy_that_has_changed_is_fetched_again_and_never_used(tmp_path, damage):
    cache = ModelCache(tmp_path)
    damage(cache.fetch(ONE, write))
    assert not cache.sound(ONE)
    assert (cache.fetch(ONE, write) / "MLmodel").read_text() == "1"
    assert cache.sound(ONE)


def test_a_copy_of_a_release_without_manifests_is_taken_as_it_is(tmp_path):
    cache = ModelCache(tmp_path)
    cache.path(ONE).mkdir(parents=True)
    write(ONE, cache.path(ONE))
    assert cache.sound(ONE)
    (cache.path(ONE) / "MLmodel").write_text("changed since")
    assert not cache.sound(ONE)


@pytest.mark.parametrize(
    ("description", "why"),
    [(None, "no file MLmodel"), ("a: [", "cannot be read"), ("model_size_bytes: 9999", "9999 were logged")],
)
def test_a_download_that_is_not_what_was_logged_never_gets_into_the_cache(tmp_path, description, why):
    def cut_short(target, folder):
        (folder / "model.skops").write_bytes(b"x" * 100)
        if description is not None:
            (folder / "MLmodel").write_text(description)

    cache = ModelCache(tmp_path)
    with pytest.raises(Damaged, match=why):
        cache.fetch(ONE, cut_short)
    assert files(tmp_path) == []


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
    pinned = Kept(THREE, "2026-01-03", {"slipway.runtime": "onnx"})
    state = {
        "red-blue": KeptModel(
            Kept(TWO, "2026-01-02"), Kept(ONE, "2026-01-01"), {"canary": pinned}, {"slipway.canary": "5"}
        ),
        "without": KeptModel(None, None, {"blue": pinned}),
    }
    ModelCache(tmp_path).remember(state)
    assert ModelCache(tmp_path).recall() == state
    assert sorted(path.name for path in tmp_path.iterdir()) == ["locks", "models", "state.json"]


def test_a_state_of_an_older_release_is_read(tmp_path):
    target = {"name": "red-blue", "version": "2", "born": 7}
    state = {"models": {"red-blue": {"live": {"target": target, "since": "2026"}, "previous": None}}}
    (tmp_path / "state.json").write_text(json.dumps(state))
    assert ModelCache(tmp_path).recall() == {"red-blue": KeptModel(Kept(TWO, "2026"))}


def test_a_state_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    cache = ModelCache(tmp_path)
    cache.remember({"a": KeptModel(Kept(ONE, "2026"))})
    monkeypatch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space"):
        cache.remember({})
    assert cache.recall() == {"a": KeptModel(Kept(ONE, "2026"))}
    assert [path.name for path in files(tmp_path)] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"models": {"a": {}}}', '{"models": {"a": {"live": 1}}}'])
def test_a_state_that_cannot_be_read_is_no_state(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    assert ModelCache(tmp_path).recall() == {}
