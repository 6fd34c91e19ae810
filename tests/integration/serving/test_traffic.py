"""Versions beside each other on two replicas of one cache: a canary's share, a shadow, pins, and restarts."""

import os
import re
import signal

import pytest

POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}  # red for version 1, blue for version 2
COLOURS = {"1": "Red", "2": "Blue"}
NAME = "red-blue"


@pytest.fixture(scope="module")
def replicas(registry, start_serving, tmp_path_factory):
    """Two processes over one cache's folder, version 1 in Production and version 2 loaded as canary."""
    registry.production(red_blue="1")
    registry.client.set_registered_model_alias(NAME, "canary", "2")
    cache = tmp_path_factory.mktemp("cache")
    servers = [
        start_serving(tmp_path_factory.mktemp(f"replica-{number}"), SERVING_CACHE_DIR=str(cache))
        for number in (1, 2)
    ]
    for server in servers:
        server.cache = cache
    yield servers
    for server in servers:
        server.stop()
    for alias in ("canary", "shadow"):
        registry.client.delete_registered_model_alias(NAME, alias)


@pytest.fixture
def tagged(registry, replicas, helpers):
    """tagged(canary=10, **{"canary.sticky": "caller"}): what the tags say, once both replicas know."""
    client = registry.client

    def tag(**wanted):
        for key, value in wanted.items():
            client.set_registered_model_tag(NAME, f"slipway.{key}", str(value))
        for server in replicas:
            helpers.eventually(
                lambda server=server: (
                    facts(server)["canary"]["percent"] == wanted.get("canary", 0)
                    and facts(server)["canary"]["sticky"] == wanted.get("canary.sticky", "request")
                    and facts(server)["aliases"]["canary"]["state"] == "live"
                ),
                what="the tags' arrival",
            )

    yield tag
    for key in ("canary", "canary.sticky", "shadow"):
        if f"slipway.{key}" in client.get_registered_model(NAME).tags:
            client.delete_registered_model_tag(NAME, f"slipway.{key}")


def facts(server):
    return server.get(f"/models/{NAME}").json()


def ask(server, count=1, path="", **headers):
    answers = [
        server.post(f"/models/{NAME}{path}/predict", POINT, headers=headers).json() for _ in range(count)
    ]
    for answer in answers:
        assert answer["predictions"] == [COLOURS[answer["version"]]]
    return [answer["version"] for answer in answers]


def test_a_canary_gets_its_share_of_what_names_no_version(replicas, tagged):
    tagged(canary=30)
    share = [version for server in replicas for version in ask(server, 150)].count("2") / 300
    assert 0.3 - 5 * 0.0265 < share < 0.3 + 5 * 0.0265  # five standard deviations
    assert set(ask(replicas[0], 20, "/versions/1")) == {"1"}
    assert set(ask(replicas[0], 20, "/aliases/canary")) == {"2"}


def test_replicas_agree_on_who_sticks_to_what(replicas, tagged):
    tagged(canary=50)
    ways = {}
    for number in range(30):
        seen = {
            version for server in replicas for version in ask(server, 3, **{"X-Slipway-Sticky": f"s{number}"})
        }
        assert len(seen) == 1
        ways[number] = seen.pop()
    assert set(ways.values()) == {"1", "2"}
    tagged(canary=50, **{"canary.sticky": "caller"})
    assert len({version for server in replicas for version in ask(server, 20)}) == 1


def test_a_tag_that_makes_no_sense_sends_nobody_and_says_so(replicas, registry, tagged, helpers):
    registry.client.set_registered_model_tag(NAME, "slipway.canary", "some")
    told = helpers.eventually(lambda: facts(replicas[0])["remarks"], what="the remark")
    assert "slipway.canary is 'some'" in told[0]
    assert set(ask(replicas[0], 20)) == {"1"}


def test_a_shadows_answers_are_counted_and_never_given(replicas, registry, tagged, helpers):
    registry.client.set_registered_model_alias(NAME, "shadow", "2")
    server = replicas[0]
    helpers.eventually(
        lambda: facts(server)["aliases"].get("shadow", {}).get("state") == "live", what="the shadow"
    )
    assert set(ask(server, 10)) == {"1"}
    labels = 'outcome="different",shadow_version="2",version="1"'
    pattern = f'slipway_serving_shadow_comparisons_total{{model="{NAME}",{labels}}}'
    helpers.eventually(
        lambda: re.search(re.escape(pattern) + r" (\d+)", server.get("/metrics").text), what="the comparison"
    )
    registry.client.delete_registered_model_alias(NAME, "shadow")


def test_a_version_without_an_alias_is_refused_with_the_remedy(replicas):
    answer = replicas[0].post(f"/models/{NAME}/versions/3/predict", POINT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_version")
    assert "give it an alias" in answer.json()["error"]["message"]


def test_a_canary_that_cannot_load_leaves_production_and_other_aliases_alone(replicas, registry, helpers):
    registry.client.set_registered_model_alias(NAME, "champion", "3")
    server = replicas[0]
    helpers.eventually(
        lambda: facts(server)["aliases"].get("champion", {}).get("state") == "failed", what="the failure"
    )
    assert "cut short" in facts(server)["aliases"]["champion"]["reason"]
    assert (facts(server)["state"], facts(server)["failure"]) == ("live", None)
    answer = server.post(f"/models/{NAME}/aliases/champion/predict", POINT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_ready")
    registry.client.delete_registered_model_alias(NAME, "champion")


def test_a_restart_needs_neither_a_download_nor_another_preparation(replicas, helpers):
    server = replicas[0]
    for one in replicas:
        helpers.eventually(
            lambda one=one: (
                all(alias["runtime"] not in (None, "pyfunc") for alias in facts(one)["aliases"].values())
                and facts(one)["preparation"]["state"] == "done"
            ),
            what="the preparations",
        )
    files = list(server.cache.glob("models/*/*/.slipway/prepared.json"))
    assert len(files) >= 1
    before = facts(server)
    stamps = {path: os.stat(path).st_mtime_ns for path in files}
    server.stop(signal.SIGKILL)
    server.start()
    after = facts(server)
    assert after["preparation"] == before["preparation"]
    # Its runtime may still have been what a first look found.
    assert after["aliases"]["canary"].pop("runtime") not in (None, "pyfunc")
    before["aliases"]["canary"].pop("runtime")
    assert after["aliases"]["canary"] == before["aliases"]["canary"]
    assert {path: os.stat(path).st_mtime_ns for path in files} == stamps


def test_a_damaged_file_in_the_cache_is_fetched_again_before_it_can_answer(replicas, helpers):
    server = replicas[0]
    server.stop()
    replicas[1].stop()
    (damaged,) = server.cache.glob("models/red-blue/1-*/model.skops")
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[:-1] + b"x")
    for one in replicas:
        one.start()
        assert helpers.eventually(lambda one=one: ask(one), what="an answer") == ["1"]
    assert damaged.read_bytes() == sound
    assert "model.skops has changed" in server.log.read_text()
