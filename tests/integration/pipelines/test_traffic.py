"""`slipway canary` and `slipway shadow` against a real registry."""

from __future__ import annotations

import itertools

import pytest

from pipelines import production, traffic
from tests.support.breaks import Breaks


@pytest.fixture(scope="module")
def run_of(server):
    """The run whose model every version here is of: registered once, since only numbers matter."""
    return {}


@pytest.fixture
def name(request) -> str:
    return f"traffic-{request.node.name[:60]}".replace("[", "-").replace("]", "")


@pytest.fixture
def versions(name, run_of, log_model, slipway):
    """versions(3) registers as many and makes the first one Production."""

    def register(count: int) -> None:
        run_of.setdefault("id", None)
        run_of["id"] = run_of["id"] or log_model()
        for _ in range(count):
            slipway("register", run_of["id"], "--name", name)
        slipway("rollout", name, "1")

    return register


def shares(client, name) -> dict[str, str]:
    """The aliases beside production, and the tags that say their shares."""
    model = client.get_registered_model(name)
    of_ours = {key: value for key, value in model.tags.items() if key.startswith("slipway.")}
    return {alias: str(of) for alias, of in model.aliases.items() if alias != "production"} | of_ours


def test_a_canary_gets_a_share_that_grows_and_ends(name, versions, slipway, client):
    versions(2)
    said = slipway("canary", name, "2", "--percent", "5", "--sticky", "caller", "--reason", "looks good")
    assert f"{name} version 2 answers 5 % of the requests, each caller always or never" in said
    assert shares(client, name) == {
        "canary": "2",
        "slipway.canary": "5",
        "slipway.canary.sticky": "caller",
    }
    slipway("canary", name, "--percent", "12.5")
    assert shares(client, name) == {
        "canary": "2",
        "slipway.canary": "12.5",
        "slipway.canary.sticky": "caller",
    }
    assert "already" in slipway("canary", name, "2", "--percent", "12.5")
    status = slipway("status", name)
    assert "canary: version 2 answers 12.5 % of the requests, each caller always or never" in status
    assert "looks good" in status
    assert "2 (12.5 %)" in next(line for line in slipway("models").splitlines() if line.startswith(name))
    assert f"{name} version 2 is no canary any more" in slipway("canary", name, "--off")
    assert shares(client, name) == {}
    assert f"{name} has no canary" in slipway("canary", name, "--off")
    history = production.events(client.search_model_versions(f"name='{name}'"))
    assert [event["action"] for event in history] == [
        "canary off",
        "canary 12.5 %",
        "canary 5 %",
        "rollout",
    ]
    assert {event["by"] for event in history} == {"ada"}


def test_a_shadow_gets_copies_and_stands_beside_a_canary(name, versions, slipway, client):
    versions(3)
    slipway("canary", name, "2", "--percent", "1")
    assert "version 3 is asked too for 100 % of the requests" in slipway("shadow", name, "3")
    slipway("shadow", name, "3", "--percent", "10")
    assert shares(client, name) == {
        "canary": "2",
        "slipway.canary": "1",
        "slipway.canary.sticky": "request",
        "shadow": "3",
        "slipway.shadow": "10",
    }
    slipway("shadow", name, "--off")
    assert set(shares(client, name)) == {"canary", "slipway.canary", "slipway.canary.sticky"}


def test_rolling_the_canary_out_ends_it_and_another_rollout_does_not(name, versions, slipway, client):
    versions(3)
    slipway("canary", name, "2", "--percent", "50")
    slipway("shadow", name, "2")
    slipway("rollout", name, "3")
    assert shares(client, name)["canary"] == "2"
    said = slipway("rollout", name, "2")
    assert "version 2 is no canary any more, since it is Production" in said
    assert "version 2 is no shadow any more, since it is Production" in said
    assert shares(client, name) == {}
    slipway("canary", name, "3", "--percent", "50")
    slipway("rollback", name)
    assert shares(client, name) == {}, "a rollback to the canary's version ends it as well"


def test_a_change_of_canary_broken_off_anywhere_gives_no_version_anothers_share(
    name, versions, slipway, client
):
    versions(3)
    for writes in itertools.count():
        slipway("canary", name, "2", "--percent", "90")
        try:
            traffic.set_canary(Breaks(client, writes), name, "3", 1, None, "ada")
        except ConnectionResetError:
            now = shares(client, name)
            assert (now["canary"], now["slipway.canary"]) not in (("2", "1"), ("3", "90")), writes
            slipway("canary", name, "3", "--percent", "1")
        else:
            break
        assert (shares(client, name)["canary"], shares(client, name)["slipway.canary"]) == ("3", "1")
    assert writes == 5


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["canary", "nobody", "1", "--percent", "5"], 1, "NAME 'nobody' is no registered model"),
        (["canary", "nobody", "--off"], 1, "NAME 'nobody' is no registered model"),
        (["canary", "{name}", "9", "--percent", "5"], 1, "VERSION '9' of {name} does not exist"),
        (["canary", "{name}", "1", "--percent", "5"], 1, "VERSION 1 of {name} is in Production"),
        (["shadow", "{name}", "1"], 1, "VERSION 1 of {name} is in Production"),
        (["canary", "{name}", "--percent", "5"], 1, "VERSION is missing, and {name} has no canary"),
        (["canary", "{name}", "2"], 2, "give --percent"),
        (["canary", "{name}", "2", "--percent", "101"], 2, "101.0 is not in the range 0<=x<=100"),
        (["canary", "{name}", "2", "--percent", "5", "--sticky", "moon"], 2, "'moon' is not one of"),
        (["canary", "{name}", "--percent", "5", "--off"], 2, "--off ends it whatever it is"),
        (["shadow", "{name}", "2", "--off"], 2, "--off ends it whatever it is"),
    ],
)
def test_errors_name_the_field_and_the_remedy(client, slipway, arguments, status, words, log_model, run_of):
    name = "traffic-errors"
    if "errors" not in run_of:
        run_of["errors"] = run_of.get("id") or log_model()
        for _ in range(2):
            slipway("register", run_of["errors"], "--name", name)
        slipway("rollout", name, "1")
    said = slipway(*(one.format(name=name) for one in arguments), status=status)
    assert words.format(name=name) in said
    assert shares(client, name) == {} if "{name}" in arguments else True


def test_a_model_without_production_has_no_share_to_give(name, log_model, slipway):
    slipway("register", log_model(), "--name", name)
    said = slipway("canary", name, "1", "--percent", "5", status=1)
    assert f"{name} has no version in Production" in said
    assert f"slipway rollout {name} VERSION comes first" in said
