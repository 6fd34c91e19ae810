"""`./slipway users` without Docker: the program runs beside the hub, with the hub's own variables."""

from __future__ import annotations

import pytest

from infra.embedded import users
from infra.embedded.instance import Instance
from infra.launcher.problem import Problem
from infra.launcher.settings import settings_of
from infra.launcher.shell import Answer

SECRETS = {"SECRETS_DIR": "/where/the/hubs/are"}


@pytest.fixture
def instance(tmp_path, monkeypatch) -> Instance:
    one = Instance("acme", tmp_path)
    one.run.mkdir()
    monkeypatch.setattr(users, "instance_of", lambda project: one)
    return one


def test_the_program_gets_the_hubs_variables(instance, monkeypatch):
    instance.write_note("services", {"hub": {"environment": SECRETS}})
    monkeypatch.setattr(users.supervisor, "pid", lambda _: 4711)
    asked = []
    monkeypatch.setattr(users, "ask", lambda *what, **how: asked.append((*what, how)) or Answer(0, "", ""))
    assert users.hub(settings_of({}))(["invite", "ann"]).ok
    ((command, how),) = asked
    assert command[1:] == ["-m", "slipway_hub.users", "invite", "ann"]
    assert how == {"environment": SECRETS}


@pytest.mark.parametrize("started_before", [True, False])
def test_a_hub_that_does_not_run_is_told(instance, monkeypatch, started_before):
    if started_before:
        instance.write_note("services", {"hub": {"environment": SECRETS}})
    monkeypatch.setattr(users.supervisor, "pid", lambda _: None)
    with pytest.raises(Problem, match="not running") as caught:
        users.hub(settings_of({}))
    assert "./slipway up --embedded" in caught.value.remedy
