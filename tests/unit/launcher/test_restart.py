"""`restart`: a new replica is ready before an old one goes, and one that does not get ready goes itself."""

from __future__ import annotations

import contextlib
import time

import pytest

from infra.launcher import compose, engine, restart, settings
from infra.launcher.compose import Plan
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.settings import settings_of
from infra.launcher.shell import Answer

FINE = Answer(0, "", "")


class Machine:
    """An engine on which Compose scales serving; what is done is noted in order."""

    def __init__(self, make_container) -> None:
        self.make, self.done, self.gets_ready = make_container, [], True
        self.containers = [make_container("serving", id="old-1"), make_container("hub")]

    def scale(self, project: str, service: str, count: int) -> Answer:
        there = [one for one in self.containers if one.service == service]
        for number in range(len(there), count):
            self.containers.append(self.make(service, id=f"new-{len(self.done)}-{number}"))
            self.done.append("one more")
        return FINE

    def docker(self, verb: str, *words: str, **_: object) -> Answer:
        ids = [word for word in words if not word.startswith("--")]
        self.done.append(f"{verb} {' '.join(ids)}")
        if verb == "rm":
            self.containers = [one for one in self.containers if one.id not in ids]
        return FINE

    def check(self, container: str) -> bool:
        self.done.append("look")
        return self.gets_ready

    def ids(self) -> list[str]:
        return [one.id for one in self.containers if one.service == "serving"]


@pytest.fixture
def machine(monkeypatch, make_container, make_service):
    machine = Machine(make_container)
    plan = Plan("slipway", (make_service("serving"), make_service("hub"), make_service("job", is_job=True)))
    monkeypatch.setattr(settings, "load", lambda: settings_of({}))
    monkeypatch.setattr(restart, "only_one", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(engine, "look", lambda: None)
    monkeypatch.setattr(engine, "containers", lambda _: list(machine.containers))
    monkeypatch.setattr(engine, "docker", machine.docker)
    monkeypatch.setattr(engine, "passes_its_check", machine.check)
    monkeypatch.setattr(engine, "log_of", lambda *_: ["no memory left"])
    monkeypatch.setattr(compose, "plan", lambda _: plan)
    monkeypatch.setattr(compose, "scale", machine.scale)
    monkeypatch.setattr(compose, "restart", lambda _, name: machine.done.append(f"restart {name}") or FINE)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return machine


def test_a_single_replica_is_replaced_by_one_that_is_ready_before_it_goes(machine, screen, said):
    assert restart.run(["serving"], 10, screen) == 0
    assert machine.done == ["one more", "look", "stop old-1", "rm old-1"]
    assert "serving was restarted" in said()


def test_of_several_one_after_the_other_is_replaced_and_never_fewer_run(machine, screen, make_container):
    machine.containers += [make_container("serving", id=f"old-{number}") for number in (2, 3)]
    assert restart.run(["serving"], 10, screen) == 0
    steps = [step for step in machine.done if not step.startswith("rm")]
    assert steps == [
        step for number in (1, 2, 3) for step in ("one more", "look", f"stop old-{number}")
    ]  # fmt: skip
    assert len(machine.ids()) == 3 and not any(name.startswith("old") for name in machine.ids())


def test_what_had_ended_is_not_taken_for_a_replica(machine, screen, make_container):
    machine.containers.append(make_container("serving", id="ended", state="exited"))
    assert restart.run(["serving"], 10, screen) == 0
    assert machine.done[0] == "rm ended"
    assert len(machine.ids()) == 1


def test_a_new_one_that_does_not_get_ready_is_removed_and_the_old_one_goes_on(machine, screen):
    machine.gets_ready = False
    with pytest.raises(Problem, match="did not become ready within 0 s") as problem:
        restart.run(["serving"], 0.01, screen)
    assert "no memory left" in str(problem.value)
    assert machine.ids() == ["old-1"]
    assert not any(step.startswith("stop") for step in machine.done)


def test_another_service_is_restarted_in_place(machine, screen):
    assert restart.run(["hub"], 10, screen) == 0
    assert machine.done == ["restart hub", "look"]


@pytest.mark.parametrize("name", ["job", "nobody"])
def test_what_is_no_service_that_runs_on_is_refused(machine, screen, name):
    with pytest.raises(Problem, match=f"There is no service {name}") as problem:
        restart.run([name], 10, screen)
    assert problem.value.status == PRECONDITION
    assert machine.done == []


def test_what_does_not_run_is_not_restarted(machine, screen):
    machine.containers = []
    with pytest.raises(Problem, match="serving does not run"):
        restart.run(["serving"], 10, screen)
