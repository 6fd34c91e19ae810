"""What a container's facts mean for the one who waits."""

from __future__ import annotations

import pytest

from infra.launcher import services, up
from infra.launcher.services import FAILED, WAITING, WELL, WORKING


@pytest.mark.parametrize(
    ("facts", "phase", "words"),
    [
        ({"health": "healthy"}, WELL, "healthy"),
        ({}, WELL, "running"),
        ({"health": "starting"}, WORKING, "starting"),
        ({"health": "unhealthy"}, FAILED, "unhealthy"),
        ({"state": "created"}, WAITING, "waits for others"),
        ({"state": "created", "error": "port is already allocated"}, FAILED, "port is already allocated"),
        ({"state": "restarting", "exit_code": 1}, WORKING, "exit 1"),
        (
            {"state": "running", "health": "starting", "restarts": 9, "exit_code": 1},
            FAILED,
            "again and again",
        ),
        ({"state": "exited", "exit_code": 2}, FAILED, "exit 2"),
        ({"state": "exited", "exit_code": 143}, FAILED, "stopped"),
        ({"state": "exited", "exit_code": 137}, FAILED, "out of memory"),
    ],
)
def test_a_service_is_well_only_while_it_runs_and_is_healthy(
    make_service, make_container, facts, phase, words
):
    state = services.state_of(make_service(), make_container(**facts))
    assert state.phase == phase
    assert words in state.words


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        ({"state": "running"}, WORKING),
        ({"state": "exited", "exit_code": 0}, WELL),
        ({"state": "exited", "exit_code": 1}, FAILED),
        ({"state": "created"}, WAITING),
    ],
)
def test_a_job_is_well_when_it_has_ended_with_nought(make_service, make_container, facts, phase):
    assert services.state_of(make_service(is_job=True), make_container(**facts)).phase == phase


def test_crashes_from_before_are_not_held_against_it(make_service, make_container):
    container = make_container(health="starting", restarts=9)
    assert services.state_of(make_service(), container, restarts_before=9).phase == WORKING


def test_a_service_without_a_container_waits(make_service):
    assert services.states_of([make_service()], [])[0].phase == WAITING


def test_the_worst_of_several_containers_speaks_for_the_service_and_jobs_come_last(
    make_service, make_container
):
    states = services.states_of(
        [make_service("job", is_job=True), make_service("serving")],
        [
            make_container("serving", id="1", health="healthy"),
            make_container("serving", id="2", health="unhealthy"),
            make_container("job", state="exited"),
        ],
    )
    assert [(state.service, state.phase) for state in states] == [("serving", FAILED), ("job", WELL)]


def test_what_had_failed_before_and_was_not_touched_since_waits_for_its_turn(make_service, make_container):
    old = make_container("old", state="exited", exit_code=1)
    new = make_container("new", state="exited", exit_code=1, started_at="2026-11-24T09:00:00Z")
    before = [old, make_container("new", state="exited", exit_code=1)]
    states = services.states_of([make_service("old"), make_service("new")], [old, new])
    assert [state.phase for state in services.without_leftovers(states, before)] == [WAITING, FAILED]


@pytest.mark.parametrize(
    ("changed", "same"),
    [({}, True), ({"config_hash": "another"}, False), ({"image_id": "sha256:another"}, False)],
)
def test_a_container_is_up_to_date_if_configuration_and_image_are_those_of_now(
    make_service, make_container, changed, same
):
    found = services.up_to_date(
        [make_service()], [make_container(**changed)], {"web": "hash-web"}, {"slipway/web:dev": "sha256:web"}
    )
    assert found is same


def test_a_container_of_a_service_that_is_no_more_is_not_up_to_date(make_service, make_container):
    assert not services.up_to_date(
        [make_service("other")], [make_container("gone")], {"gone": "hash-gone"}, {}
    )


def test_waiting_goes_on_past_old_failures_until_all_is_started(make_service, make_container):
    stopped = services.states_of([make_service()], [make_container(state="exited", exit_code=1)])
    assert not up.gave_up(stopped, all_started=None)
    assert up.gave_up(stopped, all_started=0)


def test_waiting_ends_at_once_for_a_service_that_crashes_again_and_again(make_service, make_container):
    crashing = services.states_of(
        [make_service()], [make_container(health="starting", restarts=5, exit_code=3)]
    )
    assert up.gave_up(crashing, all_started=None)


def test_an_unhealthy_service_gets_a_moment_to_recover(make_service, make_container, monkeypatch):
    unhealthy = services.states_of([make_service()], [make_container(health="unhealthy")])
    monkeypatch.setattr(up.time, "monotonic", lambda: 1000.0)
    assert not up.gave_up(unhealthy, all_started=990.0)
    assert up.gave_up(unhealthy, all_started=900.0)
