"""`slipway keys` against the real door-keeper, as in a notebook's terminal."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from pipelines.cli import main


@pytest.fixture
def slipway(door, monkeypatch):
    """slipway("list", status=0) -> what it printed, and what it said beside that."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{door.url}/mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "ada-token")
    # As in a notebook, where the public address leads nowhere.
    monkeypatch.setenv("SLIPWAY_URL", "http://slipway.invalid")

    def run(*arguments: str, status: int = 0) -> tuple[str, str]:
        done = CliRunner().invoke(main, ["keys", *arguments])
        assert done.exit_code == status, f"{done.exit_code} {done.output} {done.exception!r}"
        return done.stdout, done.stderr

    return run


def test_a_key_is_printed_once_and_alone_so_that_a_variable_can_hold_it(slipway):
    printed, said = slipway("create", "my-app", "--models", "red-blue, churn", "--days", "7")
    assert printed.startswith("slipway_")
    assert printed.count("\n") == 1
    assert "my-app for red-blue, churn until" in said
    assert "shown this once" in said
    listed, _ = slipway("list")
    header, *lines = listed.splitlines()
    (line,) = [one for one in lines if " live " in one]
    assert header.split() == ["ID", "NAME", "MODELS", "EXPIRES", "STATE", "OWNER"]
    assert line.split()[1:3] == ["my-app", "red-blue,churn"]
    assert line.split()[4:] == ["live", "ada"]
    assert printed.strip() not in listed


def test_programs_read_json(slipway):
    made = json.loads(slipway("create", "my-app", "--models", "red-blue", "--json")[0])
    assert made["key"].startswith("slipway_")
    (shown,) = [one for one in json.loads(slipway("list", "--json")[0]) if one["id"] == made["id"]]
    assert shown == {name: value for name, value in made.items() if name != "key"}


def test_a_key_is_revoked_by_its_name_or_where_two_have_it_by_its_id(slipway):
    first = json.loads(slipway("create", "my-app", "--models", "red-blue", "--json")[0])["id"]
    assert f"key {first} of my-app is revoked" in slipway("revoke", "my-app")[0]
    assert "is none of your live keys" in slipway("revoke", "my-app", status=1)[1]
    second = json.loads(slipway("create", "my-app", "--models", "red-blue", "--json")[0])["id"]
    third = json.loads(slipway("create", "my-app", "--models", "red-blue", "--json")[0])["id"]
    said = slipway("revoke", "my-app", status=1)[1]
    assert second in said and third in said
    slipway("revoke", second)
    assert third in slipway("revoke", "my-app")[0]


def test_what_is_refused_is_one_sentence_and_status_1(slipway, monkeypatch):
    said = slipway("create", "my-app", "--models", "nobodys", status=1)[1]
    assert "refused this (403): models: 'nobodys' is no registered model that you manage" in said
    assert slipway("create", "no good", "--models", "red-blue", status=1)[1].count("\n") == 1
    slipway("create", "my-app", "--models", "red-blue", "--days", "0", status=2)
    slipway("create", "my-app", status=2)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "wrong-token")
    assert "(401): log in" in slipway("list", status=1)[1]
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    assert "MLFLOW_TRACKING_TOKEN is not set" in slipway("list", status=1)[1]
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "ada-token")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9/mlflow")
    assert "does not answer" in slipway("list", status=1)[1]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    monkeypatch.delenv("SLIPWAY_URL")
    assert "MLFLOW_TRACKING_URI is not set" in slipway("list", status=1)[1]


def test_an_empty_list_says_how_the_first_is_made(slipway, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "bob-token")
    assert slipway("list") == ("no keys: slipway keys create NAME --models MODEL makes one\n", "")
