"""What follows from a look at the registry, with a registry in memory and models that are only names."""

import threading
import time
from dataclasses import dataclass, field, replace

import pytest
import tenacity
from slipway_serving.cache import ModelCache
from slipway_serving.errors import Refused
from slipway_serving.registry import Entry, RegistryUnreachable, Target
from slipway_serving.shelf import Shelf
from slipway_serving.watcher import Watcher


class FakeRegistry:
    def __init__(self):
        self.wanted, self.broken, self.up = {}, set(), True
        self.looks = 0
        self.downloads = []
        self.hold = threading.Event()
        self.hold.set()

        self.version_tags = {}
        self.version_pins = None

    def roll_out(self, name, version, tags=(), **others):
        self.wanted[name] = Entry(name, 7, {"production": version, **others}, dict(tags))

    def tags(self, target):
        return self.version_tags.get((target.name, target.version), {})

    def pins(self, tag):
        return self.version_pins

    def models(self):
        self.looks += 1
        if not self.up:
            raise RegistryUnreachable("connection refused")
        return dict(self.wanted)

    def download(self, target, folder):
        self.downloads.append(target.version)
        assert self.hold.wait(5)
        (folder / "MLmodel").write_text("broken" if target.version in self.broken else "fine")


class Maker:
    """Fetches for real; its models are only names, prepared or not."""

    def __init__(self, registry, cache):
        self.registry, self.cache = registry, cache
        self.prepared = []
        self.hold = threading.Event()
        self.hold.set()

    def bring(self, target, rank=0):
        folder = self.cache.fetch(target, self.registry.download)
        if (folder / "MLmodel").read_text() == "broken":
            self.cache.drop(target)
            raise ValueError("it does not load: no such class")
        return Model(target, self.registry.tags(target))

    def recall(self, target, tags):
        return Model(target, tags) if self.cache.sound(target) else None

    def prepare(self, made):
        assert self.hold.wait(5)
        self.prepared.append(made.version)
        return replace(made, loaded=None, runtime="fast")

    def quick(self, made):
        return made

    def close(self):
        pass


@dataclass(frozen=True)
class Model:
    target: Target
    tags: dict
    loaded: str | None = "all of it"
    runtime: str = "slow"
    preparation: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.target.name

    @property
    def version(self):
        return self.target.version

    @property
    def pin(self):
        return self.tags.get("slipway.runtime")


class World:
    """A registry, a cache on disk, and the process that follows the one with the other."""

    def __init__(self, tmp_path):
        self.folder, self.registry, self.failures = tmp_path, FakeRegistry(), []
        self.start()

    def start(self, wait=None):
        self.shelf, cache = Shelf(), ModelCache(self.folder)
        self.maker = Maker(self.registry, cache)
        self.watcher = Watcher(
            self.registry,
            cache,
            self.maker,
            self.shelf,
            wait=wait or tenacity.wait_fixed(60),
            on_failure=self.failures.append,
            max_versions=3,
        )

    def live(self, name="red-blue"):
        slot = self.shelf.slot(name)
        return slot.live.model.version if slot and slot.live else None

    def versions(self, name="red-blue"):
        """Those that answer for an alias."""
        slot = self.shelf.slot(name)
        placed = [slot.live, *(one.placed for one in slot.others.values())]
        return [one.model.version for one in placed if one]

    def look(self, until=lambda: True):
        """Look once and wait for what follows."""
        self.watcher.poll()
        deadline = time.monotonic() + 20
        while not until():
            assert time.monotonic() < deadline, "what should follow from the look did not"
            time.sleep(0.005)

    def go_live(self, version, name="red-blue"):
        self.registry.roll_out(name, version)
        self.look(lambda: self.live(name) == version)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.watcher.stop(timeout=0.1) if world.watcher._thread.is_alive() else None


def test_a_version_in_production_becomes_live_and_the_one_before_it_stays_warm(world):
    world.go_live("1")
    world.go_live("2")
    assert world.shelf.slot("red-blue").previous.model.version == "1"


def test_a_look_that_finds_nothing_new_downloads_nothing(world):
    world.go_live("1")
    for _ in range(20):
        world.watcher.poll()
    assert world.registry.downloads == ["1"]
    assert world.registry.looks == 21


def test_a_rollout_that_cannot_load_leaves_production_alone_and_says_why(world):
    world.go_live("1")
    world.registry.broken.add("2")
    world.registry.roll_out("red-blue", "2")
    world.look(lambda: world.shelf.slot("red-blue").failure)
    assert world.live() == "1"
    slot = world.shelf.slot("red-blue")
    assert (slot.state, slot.failure.version, slot.failure.attempts) == ("behind", "2", 1)
    assert "no such class" in slot.failure.reason
    assert world.failures == [Target("red-blue", "2", 7)]


def test_a_version_that_cannot_load_is_not_tried_again_at_every_look(world):
    world.registry.broken.add("1")
    world.registry.roll_out("red-blue", "1")
    world.look(lambda: world.shelf.slot("red-blue").failure)
    for _ in range(20):
        world.watcher.poll()
    assert world.registry.downloads == ["1"]


def test_a_version_that_could_not_load_is_downloaded_anew_and_becomes_live_once_it_can(world):
    world.start(wait=tenacity.wait_fixed(0.05))
    world.registry.broken.add("1")
    world.registry.roll_out("red-blue", "1")
    world.look(lambda: len(world.failures) >= 2)
    world.registry.broken.clear()
    world.look(lambda: world.live() == "1")
    assert world.shelf.slot("red-blue").failure is None


def test_an_alias_that_moves_on_cancels_the_rollout_that_waits_to_be_tried_again(world):
    world.start(wait=tenacity.wait_fixed(0.2))
    world.registry.broken.add("1")
    world.registry.roll_out("red-blue", "1")
    world.look(lambda: world.failures)
    world.go_live("2")
    tried = world.registry.downloads.count("1")
    time.sleep(0.5)
    assert world.registry.downloads.count("1") == tried
    assert world.shelf.slot("red-blue").failure is None


def test_a_version_that_is_overtaken_while_it_loads_never_becomes_live(world):
    world.go_live("1")
    seen = []
    place = world.shelf.place
    world.shelf.place = lambda model, since=None: seen.append((model.version, place(model, since)))
    world.registry.hold.clear()
    world.registry.roll_out("red-blue", "2")
    world.look(lambda: "2" in world.registry.downloads)
    world.registry.roll_out("red-blue", "3")
    world.look()
    world.registry.hold.set()
    world.look(lambda: world.live() == "3")
    assert world.shelf.slot("red-blue").previous.model.version == "1"
    assert ("2", True) not in seen


def test_going_back_to_the_warm_version_needs_no_download(world):
    world.go_live("1")
    world.go_live("2")
    world.registry.roll_out("red-blue", "1")
    world.watcher.poll()
    assert world.live() == "1"  # at once, in the look itself
    assert world.shelf.slot("red-blue").previous.model.version == "2"
    assert world.registry.downloads == ["1", "2"]


def test_a_model_whose_alias_is_taken_away_is_served_no_more_and_its_files_go(world):
    world.go_live("1")
    del world.registry.wanted["red-blue"]
    world.watcher.poll()
    with pytest.raises(Refused, match="nothing is served"):
        world.shelf.model("red-blue")
    assert not ModelCache(world.folder).path(Target("red-blue", "1", 7)).exists()


def test_only_live_and_previous_stay_on_disk(world):
    for version in ("1", "2", "3"):
        world.go_live(version)
    paths = [ModelCache(world.folder).path(Target("red-blue", v, 7)) for v in ("1", "2", "3")]
    world.look(lambda: [path.exists() for path in paths] == [False, True, True])


def test_every_version_with_an_alias_is_loaded_and_each_fails_for_itself(world):
    world.registry.broken.add("2")
    world.registry.roll_out("red-blue", "1", canary="2", shadow="3")
    world.look(lambda: world.failures and set(world.versions()) == {"1", "3"})
    slot = world.shelf.slot("red-blue")
    assert (slot.live.model.version, slot.others["shadow"].placed.model.version) == ("1", "3")
    assert (slot.others["canary"].state, slot.state, slot.failure) == ("failed", "live", None)
    assert "no such class" in slot.others["canary"].failure.reason
    assert world.watcher.ready


def test_an_alias_that_moves_to_what_is_loaded_moves_at_once_and_keeps_its_version_till_then(world):
    world.registry.roll_out("red-blue", "1", canary="2")
    world.look(lambda: set(world.versions()) == {"1", "2"})
    world.registry.roll_out("red-blue", "2", canary="3")
    world.registry.hold.clear()
    world.watcher.poll()
    slot = world.shelf.slot("red-blue")
    assert (slot.live.model.version, slot.previous.model.version) == ("2", "1")
    assert slot.others["canary"].placed.model.version == "2"
    world.registry.hold.set()
    world.look(lambda: world.shelf.slot("red-blue").others["canary"].placed.model.version == "3")
    assert sorted(world.registry.downloads) == ["1", "2", "3"]


def test_no_more_versions_are_loaded_than_allowed_production_first(world):
    world.registry.roll_out("red-blue", "9", a="1", b="2", c="3", canary="8")
    world.look(lambda: set(world.versions()) == {"9", "8", "1"})
    others = world.shelf.slot("red-blue").others
    assert "SERVING_MAX_VERSIONS" in others["b"].failure.reason
    assert "SERVING_MAX_VERSIONS" in others["c"].failure.reason
    assert not {"2", "3"} & set(world.registry.downloads)
    world.registry.roll_out("red-blue", "9", b="2", canary="8")
    world.look(lambda: set(world.versions()) == {"9", "8", "2"})
    assert world.shelf.slot("red-blue").others["b"].failure is None


def test_a_model_without_production_is_served_under_its_aliases_and_comes_back_so(world):
    world.registry.wanted["red-blue"] = Entry("red-blue", 7, {"blue": "4"})
    world.look(lambda: world.versions() == ["4"])
    assert world.shelf.choose("red-blue", alias="blue").model.version == "4"
    with pytest.raises(Refused, match="no version of 'red-blue' is in Production"):
        world.shelf.choose("red-blue")
    world.watcher.poll()
    world.registry.up = False
    world.start()
    world.watcher.restore()
    assert world.shelf.choose("red-blue", alias="blue").model.version == "4"


def test_a_restart_without_the_registry_keeps_the_canary_and_its_share(world):
    world.registry.version_tags["red-blue", "2"] = {"slipway.runtime": "onnx"}
    world.registry.roll_out("red-blue", "1", {"slipway.canary": "100"}, canary="2")
    world.look(lambda: set(world.versions()) == {"1", "2"})
    world.watcher.poll()
    world.registry.up = False
    world.start()
    world.watcher.restore()
    choice = world.shelf.choose("red-blue")
    assert (choice.by, choice.model.version, choice.model.pin) == ("canary", "2", "onnx")


def test_the_first_version_is_live_before_it_is_prepared_and_keeps_its_date(world):
    world.maker.hold.clear()
    world.go_live("1")
    slot = world.shelf.slot("red-blue")
    assert slot.live.model.runtime == "slow"
    world.maker.hold.set()
    world.look(lambda: world.shelf.slot("red-blue").live.model.runtime == "fast")
    assert world.shelf.slot("red-blue").live.since == slot.live.since
    assert world.maker.prepared == ["1"]


def test_a_version_that_replaces_one_is_prepared_before_it_is_live(world):
    world.go_live("1")
    world.look(lambda: world.maker.prepared == ["1"])
    world.maker.hold.clear()
    world.registry.roll_out("red-blue", "2")
    world.look(lambda: "2" in world.registry.downloads)
    time.sleep(0.1)
    assert world.live() == "1"
    world.maker.hold.set()
    world.look(lambda: world.live() == "2")
    assert world.shelf.slot("red-blue").live.model.runtime == "fast"


def test_a_pin_that_is_set_later_is_followed(world):
    world.go_live("1")
    world.look(lambda: world.shelf.slot("red-blue").live.model.runtime == "fast")
    world.registry.version_tags["red-blue", "1"] = {"slipway.runtime": "onnx"}
    world.registry.version_pins = {("red-blue", "1"): "onnx"}
    world.look(lambda: world.shelf.slot("red-blue").live.model.pin == "onnx")
    for _ in range(5):
        world.watcher.poll()
    assert world.maker.prepared == ["1", "1"]


def test_a_full_disk_stops_nothing_and_is_made_good_when_there_is_room(world, monkeypatch):
    world.go_live("1")
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patched:
        patched.setattr(ModelCache, "remember", lambda cache, models: (_ for _ in ()).throw(full))
        world.go_live("2")
        world.watcher.poll()
        assert world.live() == "2"
    world.watcher.poll()
    assert ModelCache(world.folder).recall()["red-blue"].live.target.version == "2"


def test_a_registry_that_does_not_answer_changes_nothing_but_what_is_told_of_it(world):
    world.go_live("1")
    world.registry.up = False
    world.watcher.poll()
    assert world.live() == "1"
    assert (world.watcher.look.reachable, world.watcher.look.error) == (False, "connection refused")
    assert world.watcher.look.last_success is not None


def test_a_restart_without_the_registry_brings_back_live_and_previous_from_the_cache(world):
    world.go_live("1")
    world.go_live("2")
    since = world.shelf.slot("red-blue").live.since
    # What is live is written down a moment after it is.
    world.look(lambda: ModelCache(world.folder).recall()["red-blue"].previous)
    world.registry.up = False
    world.start()
    world.watcher.restore()
    world.watcher.poll()
    slot = world.shelf.slot("red-blue")
    assert (slot.live.model.version, slot.previous.model.version, slot.live.since) == ("2", "1", since)
    assert world.watcher.ready
    assert world.registry.downloads == ["1", "2"]


def test_a_damaged_copy_in_the_cache_is_downloaded_again(world):
    world.go_live("1")
    (ModelCache(world.folder).path(Target("red-blue", "1", 7)) / "MLmodel").write_text("broken")
    world.start()
    world.watcher.restore()
    assert world.live() is None
    world.look(lambda: world.live() == "1")
    assert world.registry.downloads == ["1", "1"]


def test_it_is_ready_with_nothing_in_production_once_it_has_looked(world):
    assert not world.watcher.ready
    world.watcher.poll()
    assert world.watcher.ready


def test_it_is_not_ready_without_registry_and_without_cache(world):
    world.registry.up = False
    world.watcher.restore()
    world.watcher.poll()
    assert not world.watcher.ready


def test_it_is_not_ready_before_what_the_first_look_found_is_live_or_has_failed(world):
    world.registry.hold.clear()
    world.registry.roll_out("red-blue", "1")
    world.look()
    assert not world.watcher.ready
    with pytest.raises(Refused) as caught:
        world.shelf.model("red-blue")
    assert caught.value.code == "model_not_ready"
    world.registry.hold.set()
    world.look(lambda: world.live() == "1")
    assert world.watcher.ready


def test_it_is_not_ready_while_the_second_of_two_models_still_loads(world):
    world.go_live("1", "a")
    world.start()
    world.registry.hold.clear()
    world.registry.roll_out("b", "1")
    world.look(lambda: world.live("a") == "1")
    assert not world.watcher.ready
    world.registry.hold.set()
    world.look(lambda: world.live("b") == "1")
    assert world.watcher.ready


def test_the_default_model_is_the_configured_one_or_the_only_one(world):
    with pytest.raises(Refused) as nothing:
        world.shelf.default_model(None)
    world.go_live("1", "a")
    assert world.shelf.default_model(None).name == "a"
    world.go_live("1", "b")
    assert world.shelf.default_model("b").name == "b"
    with pytest.raises(Refused) as several:
        world.shelf.default_model(None)
    assert (nothing.value.code, several.value.code) == ("no_model", "ambiguous_model")
    assert "a, b" in several.value.message
