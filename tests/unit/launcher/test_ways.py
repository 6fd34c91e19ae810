"""Which way of running a project goes."""

from __future__ import annotations

import pytest

from infra.launcher import ways
from infra.launcher.problem import PRECONDITION, Problem


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(ways, "STATE", tmp_path)
    monkeypatch.setattr(ways, "ensure_state", lambda: None)


def engine_that_is_missing():
    raise Problem("Docker is not installed.", "Install it.", PRECONDITION)


def test_with_an_engine_it_is_the_stack(monkeypatch):
    monkeypatch.setattr(ways.engine, "look", lambda: object())
    assert ways.choose("slipway", None) == (ways.DOCKER, False)


def test_without_one_it_is_embedded_for_that_reason(monkeypatch):
    monkeypatch.setattr(ways.engine, "look", engine_that_is_missing)
    assert ways.choose("slipway", None) == (ways.EMBEDDED, True)


def test_what_was_chosen_once_is_kept(monkeypatch):
    """An engine that is stopped today must not make `up` start an empty platform beside the team's."""
    ways.note("team", ways.DOCKER)
    monkeypatch.setattr(ways.engine, "look", engine_that_is_missing)
    assert ways.choose("team", None) == (ways.DOCKER, False)
    assert ways.choose("other", None)[0] == ways.EMBEDDED


def test_the_command_line_has_the_last_word():
    ways.note("team", ways.DOCKER)
    assert ways.choose("team", ways.EMBEDDED) == (ways.EMBEDDED, False)


def test_a_note_that_makes_no_sense_is_no_note(tmp_path):
    (tmp_path / "ways").mkdir()
    (tmp_path / "ways/slipway").write_text("kubernetes\n")
    assert ways.noted("slipway") is None
