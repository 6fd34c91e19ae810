"""What `up` leaves behind when it does not get through: a first start nothing running, else all as it was."""

from __future__ import annotations

import time

import pytest

from infra.launcher import compose, engine, up
from infra.launcher.compose import Plan
from infra.launcher.problem import Interrupted, Problem
from infra.launcher.shell import Answer


class Compose:
    """A Compose that has started everything at once, and an engine whose containers are the test's."""

    def __init__(self) -> None:
        self.containers, self.exit_status, self.calls = [], 0, []

    def start(self, project, log):
        self.calls.append("start")
        self.after_start()
        return self

    def after_start(self) -> None:
        """Set by a test: what starting brings about."""

    def status(self):
        return self.exit_status

    def end(self) -> None:
        self.calls.append("end")

    def stop(self, project):
        self.calls.append("stop")
        return Answer(0, "", "")


@pytest.fixture
def fake(monkeypatch):
    fake = Compose()
    monkeypatch.setattr(compose, "start", fake.start)
    monkeypatch.setattr(compose, "stop", fake.stop)
    monkeypatch.setattr(engine, "containers", lambda _: list(fake.containers))
    monkeypatch.setattr(engine, "log_of", lambda *_: ["mlflow: no database at postgres:5432"])
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return fake


@pytest.fixture
def plan(make_service):
    return Plan("slipway", (make_service("mlflow"), make_service("secrets", is_job=True)))


def test_a_start_is_over_when_every_service_is_healthy_and_every_job_has_ended(
    fake, plan, make_container, screen, said
):
    fake.after_start = lambda: fake.containers.extend(
        [make_container("mlflow", health="healthy"), make_container("secrets", state="exited")]
    )
    up.start(plan, 60, screen)
    assert "Slipway is up" in said()
    assert "stop" not in fake.calls


def test_a_first_start_that_fails_shows_why_and_is_stopped_again(fake, plan, make_container, screen):
    fake.after_start = lambda: fake.containers.extend(
        [make_container("mlflow", state="exited", exit_code=1), make_container("secrets", state="exited")]
    )
    fake.exit_status = 1
    with pytest.raises(Problem) as caught:
        up.start(plan, 60, screen)
    assert "mlflow: ended with exit 1" in caught.value.what
    assert "no database at postgres:5432" in caught.value.what
    assert "./slipway logs mlflow" in caught.value.remedy
    assert fake.calls == ["start", "end", "stop"]


def test_an_update_that_fails_leaves_the_rest_of_a_running_stack_alone(fake, plan, make_container, screen):
    fake.containers = [make_container("mlflow", health="healthy"), make_container("secrets", state="exited")]

    def breaks():
        fake.containers[0] = make_container("mlflow", state="exited", exit_code=1)

    fake.after_start = breaks
    with pytest.raises(Problem, match="Not every service came up"):
        up.start(plan, 60, screen)
    assert "stop" not in fake.calls


def test_ctrl_c_on_a_first_start_stops_what_was_started(fake, plan, screen):
    def pressed():
        raise Interrupted(2)

    fake.status = pressed
    with pytest.raises(Interrupted):
        up.start(plan, 60, screen)
    assert fake.calls == ["start", "end", "stop"]


def test_a_start_that_takes_too_long_names_what_it_still_waits_for(fake, plan, make_container, screen):
    fake.after_start = lambda: fake.containers.append(make_container("mlflow", health="starting"))
    with pytest.raises(Problem, match="within 0 s") as caught:
        up.start(plan, 0, screen)
    assert "mlflow: starting" in caught.value.what
    assert fake.calls[-1] == "stop"


def test_compose_that_fails_with_every_container_in_order_shows_its_own_words(
    fake, plan, make_container, screen, monkeypatch
):
    fake.exit_status = 1
    monkeypatch.setattr(up, "last_lines", lambda *_: ["network slipway_edge could not be made"])
    with pytest.raises(Problem, match="network slipway_edge could not be made"):
        up.start(plan, 60, screen)


def test_the_stack_counts_as_running_only_if_it_is_what_compose_would_make_now(
    fake, plan, make_container, monkeypatch
):
    fake.containers = [make_container("mlflow", health="healthy"), make_container("secrets", state="exited")]
    hashes = {"mlflow": "hash-mlflow", "secrets": "hash-secrets"}
    monkeypatch.setattr(compose, "hashes", lambda _: hashes)
    ids = {"slipway/mlflow:dev": "sha256:mlflow", "slipway/secrets:dev": "sha256:secrets"}
    monkeypatch.setattr(engine, "image_ids", lambda _: ids)
    assert up.is_running(plan)
    hashes["mlflow"] = "changed in .env"
    assert not up.is_running(plan)
