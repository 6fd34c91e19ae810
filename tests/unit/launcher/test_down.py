"""What `down` stops, in which order, and that data goes only when it is told so in full."""

from __future__ import annotations

import contextlib

import pytest

from infra.launcher import compose, down, engine, settings
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.settings import settings_of
from infra.launcher.shell import Answer


@pytest.fixture
def machine(monkeypatch, make_container):
    """An engine with a stack, one user's server and their volumes; what is done to it is noted in order."""
    done: list[str] = []
    stopped = Answer(0, "", "")
    monkeypatch.setattr(settings, "load", lambda: settings_of({}))
    monkeypatch.setattr(down, "only_one", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(engine, "look", lambda: None)
    monkeypatch.setattr(engine, "containers", lambda _: [make_container("hub")])
    monkeypatch.setattr(engine, "notebooks", lambda _: [make_container("", id="ada")])
    monkeypatch.setattr(engine, "volumes", lambda _: ["slipway_postgres"])
    monkeypatch.setattr(engine, "notebook_networks", lambda _: ["net-of-ada"])
    monkeypatch.setattr(engine, "notebook_volumes", lambda _: ["slipway-notebook-ada"])
    monkeypatch.setattr(engine, "docker", lambda *words, **_: done.append(" ".join(words)) or stopped)
    monkeypatch.setattr(
        compose, "remove", lambda _, volumes: done.append(f"down volumes={volumes}") or stopped
    )
    return done


def test_users_servers_go_first_because_they_hold_the_network_and_volumes_stay(machine, screen, said):
    assert down.run(with_volumes=False, yes=False, screen=screen) == 0
    assert machine == [
        "stop --time 10 ada",
        "rm --force --volumes ada",
        "down volumes=False",
        "network rm net-of-ada",
    ]
    assert "data is kept" in said()


def test_a_network_that_the_hub_has_removed_meanwhile_is_no_failure(machine, screen, monkeypatch):
    gone = Answer(1, "", "Error response from daemon: network net-of-ada not found")
    monkeypatch.setattr(
        engine, "docker", lambda *words, **_: gone if "network" in words else Answer(0, "", "")
    )
    assert down.run(with_volumes=False, yes=False, screen=screen) == 0


def test_a_network_that_is_held_by_something_else_is_one(machine, screen, monkeypatch):
    held = Answer(1, "", "error while removing network: network net-of-ada has active endpoints")
    monkeypatch.setattr(
        engine, "docker", lambda *words, **_: held if "network" in words else Answer(0, "", "")
    )
    with pytest.raises(Problem, match="active endpoints"):
        down.run(with_volumes=False, yes=False, screen=screen)


def test_data_goes_with_the_users_volumes_once_it_is_confirmed(machine, screen):
    assert down.run(with_volumes=True, yes=True, screen=screen) == 0
    assert machine[-3:] == ["down volumes=True", "network rm net-of-ada", "volume rm slipway-notebook-ada"]


@pytest.mark.parametrize("typed", ["", "yes", "slipway2"])
def test_anything_but_the_projects_name_deletes_nothing(machine, screen, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: typed)
    with pytest.raises(Problem, match="nothing was deleted") as caught:
        down.run(with_volumes=True, yes=False, screen=screen)
    assert caught.value.status == PRECONDITION
    assert machine == []


def test_the_projects_name_confirms(machine, screen, monkeypatch, said):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "slipway")
    assert down.run(with_volumes=True, yes=False, screen=screen) == 0
    assert "slipway_postgres" in said() and "slipway-notebook-ada" in said()


def test_without_a_terminal_data_is_deleted_only_by_saying_yes(machine, screen, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(Problem, match="Nobody is there") as caught:
        down.run(with_volumes=True, yes=False, screen=screen)
    assert "--volumes --yes" in caught.value.remedy
    assert machine == []


def test_with_nothing_there_it_says_so(machine, screen, said, monkeypatch):
    monkeypatch.setattr(engine, "containers", lambda _: [])
    monkeypatch.setattr(engine, "notebooks", lambda _: [])
    assert down.run(with_volumes=False, yes=False, screen=screen) == 0
    assert "Nothing was running" in said()
