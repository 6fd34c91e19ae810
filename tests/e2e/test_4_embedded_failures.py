"""What a process that is killed takes with it, without Docker: nothing else, and not for long."""

from __future__ import annotations

import contextlib

import httpx
import psutil
import pytest

from infra.embedded.services import NAMES
from tests.support.person import Person
from tests.support.processes import eventually

WAYS = ("embedded",)

A_RESTART = 40
"""Seconds, on a busy machine."""


@pytest.fixture(scope="module")
def person(platform):
    person = Person(platform.url, platform.installation.up())
    person.rolls_out_a_first_model()
    person.starts_a_server()
    yield person
    person.http.close()


@pytest.fixture(scope="module")
def kernel(person):
    kernel = person.starts_a_kernel()
    kernel.runs("remembered = 42")
    return kernel


NEEDS = {
    "gateway": lambda person: person.http.get("/gateway/health"),
    "auth": lambda person: person.http.get("/mlflow/version"),
    "portal": lambda person: person.http.get("/"),
    "proxy": lambda person: person.http.get("/hub/api"),
    "hub": lambda person: person.http.get(f"/hub/api/users/{person.name}"),
    "mlflow": lambda person: person.http.get("/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0"),
    "serving": lambda person: person.predicts(),
}
"""A request that cannot be answered without the service."""


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_service_comes_back_and_nothing_else_is_restarted(installation, person, kernel, name):
    before = installation.services()
    installation.kill(before[name])
    assert eventually(lambda: installation.services().get(name, before[name]) != before[name], A_RESTART)
    assert eventually(lambda: answers(NEEDS[name], person), A_RESTART), installation.logs()[-3000:]
    after = installation.services()
    assert {one for one in NAMES if after[one] != before[one]} == {name}
    assert kernel.runs("print(remembered)") == "42\n"


def answers(ask, person) -> bool:
    try:
        return ask(person).status_code == 200
    except httpx.HTTPError:  # nobody listens yet
        return False


def test_a_killed_hub_leaves_no_helper_behind(installation):
    assert len(helpers(installation)) == 1
    (before,) = helpers(installation)
    installation.kill(installation.services()["hub"])
    assert eventually(lambda: helpers(installation) - {before}, A_RESTART)
    assert before not in helpers(installation)


def helpers(installation) -> set[int]:
    """What stops unused notebooks, started by the hub."""
    found = set()
    for number in installation.processes():
        with contextlib.suppress(psutil.Error):
            if "jupyterhub_idle_culler" in psutil.Process(number).cmdline():
                found.add(number)
    return found


def test_a_killed_supervisor_leaves_no_port_held_and_the_next_up_finds_everything(
    installation, person, kernel
):
    services, experiments = installation.services(), person.experiments()
    ports = {port for number in services.values() for port in listening(number)}
    assert len(ports) >= len(NAMES)
    installation.kill(installation.supervisor())
    assert eventually(lambda: not any(map(psutil.pid_exists, services.values())), A_RESTART)
    assert not ports & {port for number in installation.processes() for port in listening(number)}

    installation.up()
    assert person.experiments() == experiments
    assert person.predicts().status_code == 200
    # The notebook server was no child of the supervisor's: it was kept, with its kernel.
    assert kernel.runs("print(remembered)") == "42\n"


def listening(number: int) -> set[int]:
    return {
        connection.laddr.port
        for connection in psutil.Process(number).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def test_down_after_the_supervisor_was_killed_ends_notebooks_too(installation, person):
    person.starts_a_server()
    installation.kill(installation.supervisor())
    installation.slipway("down")
    assert installation.running() == []
    assert installation.damaged_databases() == []
    installation.up()
    assert eventually(lambda: person.predicts().status_code == 200, A_RESTART)
    person.starts_a_server()
