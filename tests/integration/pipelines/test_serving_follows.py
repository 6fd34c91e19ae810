"""A rollout with a real serving process at the other end of it."""

from __future__ import annotations

import json
import time

import httpx
import pytest


@pytest.fixture
def name(request) -> str:
    return request.node.name[:60]


@pytest.fixture(autouse=True)
def waits(serving_url, monkeypatch):
    monkeypatch.setenv("SLIPWAY_SERVING_URL", serving_url)


def ask(url: str, name: str) -> tuple[str, str]:
    """(version, prediction) for one point."""
    body = {"inputs": [{"Coord_X": 1.0, "Coord_Y": 2.0}]}
    said = httpx.post(f"{url}/models/{name}/predict", json=body).raise_for_status().json()
    return said["version"], said["predictions"][0]


def test_a_rollout_returns_when_serving_answers_with_the_version(name, log_model, slipway, serving_url):
    for version, answer in (("1", "Red"), ("2", "Blue")):
        slipway("register", log_model(answer=answer), "--name", name)
        said = slipway("rollout", name, version)
        assert f"{name} version {version} answers at {serving_url} after" in said
        assert ask(serving_url, name) == (version, answer)
    slipway("rollback", name)
    assert ask(serving_url, name) == ("1", "Red")
    assert "serving: it answers with version 1" in slipway("status", name)


def test_a_rollout_that_cannot_load_leaves_production_alone(
    name, log_model, slipway, client, damage, serving_url
):
    slipway("register", log_model(), "--name", name)
    slipway("rollout", name, "1")
    broken = log_model(answer="Blue")
    slipway("register", broken, "--name", name)
    damage(broken)
    said = slipway("rollout", name, "2", "--reason", "hope", status=1)
    assert f"serving could not load version 2 of {name}" in said
    assert "it was taken back and version 1 is in Production" in said
    assert client.get_model_version_by_alias(name, "production").version == "1"
    assert client.get_model_version(name, "1").current_stage == "Production"
    assert client.get_model_version(name, "2").current_stage == "None"
    assert ask(serving_url, name) == ("1", "Red")
    moves = [
        json.loads(v) for k, v in client.get_model_version(name, "2").tags.items() if k.startswith("rollout.")
    ]
    assert {move["action"] for move in moves} == {"rollout", "taken back"}
    assert client.get_registered_model(name).tags["production.version"] == "1"
    # And a good version goes through afterwards.
    slipway("register", log_model(answer="Blue"), "--name", name)
    slipway("rollout", name, "3")
    assert ask(serving_url, name) == ("3", "Blue")
    slipway("rollback", name)
    assert ask(serving_url, name) == ("1", "Red")


def test_a_first_version_that_cannot_load_leaves_no_production(name, log_model, slipway, client, damage):
    broken = log_model()
    slipway("register", broken, "--name", name)
    damage(broken)
    assert "taken back and no version is in Production" in slipway("rollout", name, "1", status=1)
    assert client.get_registered_model(name).aliases == {}
    assert client.get_model_version(name, "1").current_stage == "None"


def test_a_version_rolled_out_without_waiting_is_taken_back_by_the_next_that_waits(
    name, log_model, slipway, client, damage
):
    slipway("register", log_model(), "--name", name)
    slipway("rollout", name, "1")
    broken = log_model()
    slipway("register", broken, "--name", name)
    damage(broken)
    assert "did not wait for serving (--no-wait)" in slipway("rollout", name, "2", "--no-wait")
    assert "taken back and version 1 is in Production" in slipway("rollout", name, "2", status=1)
    assert client.get_model_version_by_alias(name, "production").version == "1"


def test_a_serving_that_does_not_answer_is_told_after_the_timeout(name, log_model, slipway, client):
    slipway("register", log_model(), "--name", name)
    began = time.monotonic()
    arguments = ("rollout", name, "1", "--serving-url", "http://127.0.0.1:9", "--timeout", "2")
    said = slipway(*arguments, status=1)
    assert time.monotonic() - began < 20
    assert "http://127.0.0.1:9 did not answer with version 1" in said
    assert "does not answer" in said
    assert client.get_model_version_by_alias(name, "production").version == "1", (
        "serving may be late, not unwilling"
    )
