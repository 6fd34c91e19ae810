"""`./slipway users`: what the hub is asked, what is shown of its answer, and when files are deleted."""

from __future__ import annotations

import json

import pytest

from infra.launcher import compose, engine, users
from infra.launcher.arguments import parser
from infra.launcher.problem import Problem
from infra.launcher.settings import settings_of
from infra.launcher.shell import Answer


class Hub:
    """Answers what it was made with, and keeps what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.asked, self.deleted = answer, [], []

    def __call__(self, arguments) -> Answer:
        self.asked.append(list(arguments))
        return self.answer

    def is_asked(self, screen, *typed: str) -> int:
        return users.run(parser().parse_args(["users", *typed]), self, self.deleted.append, screen)


@pytest.mark.parametrize(
    ("typed", "asked"),
    [
        ([], ["list"]),
        (["list", "--json"], ["list", "--json"]),
        (["invite", "ann"], ["invite", "ann"]),
        (["invite", "ann", "--admin"], ["invite", "ann", "--admin"]),
        (["admin", "ann", "--remove"], ["admin", "ann", "--remove"]),
        (["reset", "ann", "--embedded"], ["reset", "ann"]),
        (["suspend", "ann"], ["suspend", "ann"]),
        (["approve", "ann"], ["approve", "ann"]),
        (["remove", "ann"], ["remove", "ann"]),
    ],
)
def test_the_hub_is_asked_what_was_typed_and_its_words_are_shown(typed, asked, screen, said):
    hub = Hub(Answer(0, "what the hub says\n", ""))
    assert hub.is_asked(screen, *typed) == 0
    assert hub.asked == [asked]
    assert said() == "what the hub says\n"
    assert hub.deleted == []


def test_what_the_hub_refuses_is_a_problem_in_its_words(screen):
    with pytest.raises(Problem, match="the last administrator") as caught:
        Hub(Answer(1, "", "ann is the last administrator")).is_asked(screen, "suspend", "ann")
    assert caught.value.status == 1


def test_files_are_deleted_once_the_account_is_gone(screen, said):
    hub = Hub(Answer(0, json.dumps({"name": "ann", "files": "slipway-notebook-ann"}), ""))
    assert hub.is_asked(screen, "remove", "ann", "--files") == 0
    assert hub.asked == [["remove", "ann", "--json"]]
    assert hub.deleted == ["slipway-notebook-ann"]
    assert "slipway-notebook-ann are deleted" in said()


def test_nothing_is_deleted_of_who_is_not_removed(screen):
    hub = Hub(Answer(1, "", "There is no account ann."))
    with pytest.raises(Problem):
        hub.is_asked(screen, "remove", "ann", "--files")
    assert hub.deleted == []


def test_who_never_started_a_server_has_no_files(screen, said):
    hub = Hub(Answer(0, json.dumps({"name": "ann", "files": None}), ""))
    assert hub.is_asked(screen, "remove", "ann", "--files") == 0
    assert "no files" in said()


def test_in_the_stack_it_runs_in_the_hubs_container(monkeypatch, make_container):
    monkeypatch.setattr(engine, "look", lambda: None)
    monkeypatch.setattr(engine, "containers", lambda _: [make_container("hub")])
    monkeypatch.setattr(compose, "execute", lambda *what: what)
    hub = users.hub_of_stack(settings_of({}))
    assert hub(["list"]) == ("slipway", "hub", ["python", "-m", "slipway_hub.users", "list"])


@pytest.mark.parametrize("containers", [[], [{"state": "exited"}]])
def test_without_a_hub_it_says_what_starts_one(monkeypatch, make_container, containers):
    monkeypatch.setattr(engine, "look", lambda: None)
    monkeypatch.setattr(engine, "containers", lambda _: [make_container("hub", **one) for one in containers])
    with pytest.raises(Problem, match="not running") as caught:
        users.hub_of_stack(settings_of({}))
    assert "./slipway up" in caught.value.remedy


def test_a_folder_that_is_gone_already_is_deleted(tmp_path):
    (tmp_path / "ann").mkdir()
    users.delete_folder(str(tmp_path / "ann"))
    users.delete_folder(str(tmp_path / "ann"))
    assert not (tmp_path / "ann").exists()
