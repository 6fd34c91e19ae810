"""Who is sent to which version: what the tags mean, the shares, and that every replica agrees."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from slipway_serving.errors import Refused
from slipway_serving.registry import Entry, Target
from slipway_serving.shelf import Shelf
from slipway_serving.traffic import place_of, read_traffic

CANARY = {"production": "1", "canary": "2"}
CALLERS = [f"caller-{number}" for number in range(4000)]


def version(number):
    target = Target("red-blue", number, 7)
    return SimpleNamespace(target=target, name=target.name, version=number)


def shelf_with(aliases, tags=(), **more):
    shelf = Shelf(**more)
    shelf.want(Entry("red-blue", 7, aliases, dict(tags)))
    for number in set(aliases.values()):
        shelf.place(version(number))
    return shelf


@pytest.mark.parametrize(
    ("aliases", "tags", "canary", "by_caller", "shadow", "remark"),
    [
        (CANARY, {}, 0, False, 0, None),
        (CANARY, {"slipway.canary": "12.5"}, 12.5, False, 0, None),
        (CANARY, {"slipway.canary": " 5% ", "slipway.canary.sticky": "caller"}, 5, True, 0, None),
        (CANARY, {"slipway.canary": "101"}, 0, False, 0, "slipway.canary is '101'"),
        (CANARY, {"slipway.canary": "-1"}, 0, False, 0, "number from 0 to 100"),
        (CANARY, {"slipway.canary": "nan"}, 0, False, 0, "read as 0"),
        (CANARY, {"slipway.canary": "half"}, 0, False, 0, "'half'"),
        (CANARY, {"slipway.canary": "5", "slipway.canary.sticky": "moon"}, 5, False, 0, "'moon'"),
        ({"production": "1"}, {"slipway.canary": "5"}, 0, False, 0, "no version has the alias canary"),
        ({"shadow": "2"}, {}, 0, False, 100, None),
        ({"shadow": "2"}, {"slipway.shadow": "10"}, 0, False, 10, None),
        ({"shadow": "2"}, {"slipway.shadow": "all"}, 0, False, 0, "slipway.shadow is 'all'"),
        ({"production": "1"}, {"slipway.shadow": "10"}, 0, False, 0, "no version has the alias shadow"),
    ],
)
def test_tags_are_read_on_the_safe_side_with_a_remark(aliases, tags, canary, by_caller, shadow, remark):
    traffic = read_traffic(aliases, tags)
    assert (traffic.canary, traffic.by_caller, traffic.shadow) == (canary, by_caller, shadow)
    if remark is None:
        assert traffic.remarks == ()
    else:
        (said,) = traffic.remarks
        assert remark in said


def test_places_are_even_differ_by_model_and_are_the_same_in_every_process():
    places = [place_of("red-blue", name.encode()) for name in CALLERS]
    assert all(0 <= place < 100 for place in places)
    for percent in (1, 10, 50, 90):
        share = sum(place < percent for place in places) / len(places) * 100
        assert abs(share - percent) < 5 * (percent * (100 - percent) / len(places)) ** 0.5
    others = [place_of("other", name.encode()) for name in CALLERS]
    both = sum(one < 50 and two < 50 for one, two in zip(places, others, strict=True))
    assert abs(both / len(places) - 0.25) < 0.04
    code = "from slipway_serving.traffic import place_of; print(place_of('red-blue', b'caller-7'))"
    folder = Path(__file__).parents[3] / "services" / "serving"
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(other.stdout) == place_of("red-blue", b"caller-7")


def test_a_canary_gets_its_share_by_chance():
    chances = iter([0.0, 0.0999, 0.1, 0.5, 0.9999])
    shelf = shelf_with(CANARY, {"slipway.canary": "10"}, chance=lambda: next(chances))
    chosen = [shelf.choose("red-blue") for _ in range(5)]
    assert [choice.by for choice in chosen] == ["canary", "canary", *["production"] * 3]
    assert [choice.model.version for choice in chosen] == ["2", "2", "1", "1", "1"]


def test_whoever_sticks_to_something_always_goes_the_same_way_and_stays_when_the_share_grows():
    small, large = (shelf_with(CANARY, {"slipway.canary": share}) for share in ("10", "30"))
    again = shelf_with(CANARY, {"slipway.canary": "10"})
    in_small, in_large = set(), set()
    for name in CALLERS:
        by = small.choose("red-blue", sticky=name.encode()).by
        assert by == again.choose("red-blue", sticky=name.encode()).by
        in_small |= {name} if by == "canary" else set()
        in_large |= {name} if large.choose("red-blue", sticky=name.encode()).by == "canary" else set()
    assert in_small < in_large
    assert 300 < len(in_small) < 500
    assert 1050 < len(in_large) < 1350


def test_by_caller_goes_by_who_asks_and_the_request_has_the_last_word():
    by_caller = {"slipway.canary": "50", "slipway.canary.sticky": "caller"}
    shelf = shelf_with(CANARY, by_caller, chance=lambda: pytest.fail("left to chance"))
    ways = {name: shelf.choose("red-blue", caller=name).by for name in CALLERS[:100]}
    assert set(ways.values()) == {"canary", "production"}
    assert all(shelf.choose("red-blue", caller=name).by == way for name, way in ways.items())
    assert {shelf.choose("red-blue", caller=name, sticky=b"mine").by for name in CALLERS[:100]} == {
        shelf.choose("red-blue", sticky=b"mine").by
    }


def test_of_everything_or_nothing_everything_or_nothing_is_sent():
    for share, version_asked in (("0", "1"), ("100", "2")):
        shelf = shelf_with(CANARY, {"slipway.canary": share})
        assert {shelf.choose("red-blue").model.version for _ in range(500)} == {version_asked}


def test_a_shadow_gets_copies_of_what_production_answers_and_answers_nothing():
    aliases = {**CANARY, "shadow": "3"}
    shelf = shelf_with(aliases, {"slipway.canary": "50"})
    for _ in range(200):
        choice = shelf.choose("red-blue")
        assert choice.model.version in ("1", "2")
        assert (choice.shadow and choice.shadow.version) == ("3" if choice.by == "production" else None)
    shelf = shelf_with({"production": "1", "shadow": "3"}, {"slipway.shadow": "25"})
    copied = sum(shelf.choose("red-blue").shadow is not None for _ in range(4000))
    assert 850 < copied < 1150
    assert shelf_with({"production": "1", "shadow": "1"}).choose("red-blue").shadow is None


def test_a_canary_that_is_not_loaded_yet_gets_nothing():
    shelf = Shelf()
    shelf.want(Entry("red-blue", 7, CANARY, {"slipway.canary": "100"}))
    shelf.place(version("1"))
    assert shelf.choose("red-blue").by == "production"
    shelf.place(version("2"))
    assert shelf.choose("red-blue").by == "canary"


def test_a_version_or_an_alias_is_found_or_refused_with_the_remedy():
    shelf = shelf_with({"production": "1", "canary": "2", "champion": "2"})
    assert shelf.choose("red-blue", version="2").by == "version"
    assert shelf.choose("red-blue", alias="champion").model.version == "2"
    assert shelf.choose("red-blue", alias="production").model.version == "1"
    with pytest.raises(Refused, match=r"give it an alias in the registry \(versions with one: 1, 2\)") as no:
        shelf.choose("red-blue", version="3")
    assert (no.value.code, no.value.field) == ("unknown_version", "version")
    with pytest.raises(Refused, match="there are: canary, champion, production") as no:
        shelf.choose("red-blue", alias="moon")
    assert (no.value.code, no.value.field) == ("unknown_version", "alias")
    shelf.want(Entry("red-blue", 7, {"production": "1", "canary": "9"}))
    with pytest.raises(Refused, match="red-blue version 9 is being loaded") as no:
        shelf.choose("red-blue", version="9")
    assert (no.value.code, no.value.retry_after) == ("model_not_ready", 2)
    assert shelf.choose("red-blue", alias="canary").model.version == "2"


def test_the_version_before_production_is_in_memory_but_not_to_be_pinned():
    """Another replica may not have it: only what the registry says is the same everywhere."""
    shelf = shelf_with({"production": "1"})
    shelf.want(Entry("red-blue", 7, {"production": "2"}))
    assert shelf.choose("red-blue", version="1").model.version == "1"
    shelf.place(version("2"))
    assert shelf.slot("red-blue").previous.model.version == "1"
    with pytest.raises(Refused, match="give it an alias"):
        shelf.choose("red-blue", version="1")
