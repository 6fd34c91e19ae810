"""What each check decides from facts, and that its words name the thing and the remedy."""

from __future__ import annotations

import socket

import pytest

from infra.launcher import checks, engine, ports
from infra.launcher.checks import BAD, GIB, GOOD, NOTE, Check
from infra.launcher.problem import PRECONDITION, Problem
from infra.launcher.settings import settings_of


@pytest.mark.parametrize(
    ("version", "verdict"),
    [("19.03.15", BAD), ("20.10.0", GOOD), ("20.10.24+dfsg1", GOOD), ("29.1", GOOD), ("nonsense", BAD)],
)
def test_an_engine_before_20_10_is_too_old(version, verdict):
    assert checks.engine_is_new_enough(version).verdict == verdict


@pytest.mark.parametrize(
    ("version", "verdict"),
    [
        (None, BAD),
        ("1.29.2", BAD),
        ("2.19.1", BAD),
        ("2.20.0", GOOD),
        ("v2.40.3", GOOD),
        ("2.26.1-4", GOOD),
        ("5.0.0", GOOD),
    ],
)
def test_compose_must_be_there_and_2_20_or_newer(version, verdict):
    check = checks.compose_is_new_enough(version)
    assert check.verdict == verdict
    assert verdict == GOOD or check.remedy


def test_a_missing_buildx_says_which_command_brings_it():
    check = checks.buildx_is_there(None)
    assert check.verdict == BAD
    assert "./slipway install-docker" in check.remedy


def test_a_machine_sold_with_four_gibibytes_passes_and_one_with_three_does_not():
    assert checks.enough_memory(int(3.8 * GIB)).verdict == GOOD
    short = checks.enough_memory(3 * GIB)
    assert short.verdict == BAD
    assert "3.0 GiB" in short.words and "4.0 GiB" in short.words


def test_a_first_build_needs_ten_gibibytes_and_a_built_stack_one():
    assert checks.enough_disk(9 * GIB, "/var/lib/docker", built=False).verdict == BAD
    assert checks.enough_disk(9 * GIB, "/var/lib/docker", built=True).verdict == GOOD
    assert checks.enough_disk(GIB // 2, "/var/lib/docker", built=True).verdict == BAD
    assert checks.enough_disk(None, "/var/lib/docker", built=False).verdict == NOTE


def test_a_taken_port_names_itself_its_holder_and_the_variable_to_change():
    check = checks.port_check("127.0.0.1", "HTTP_PORT", 8080, ports.TAKEN, "nginx (process 812)")
    assert check.verdict == BAD
    assert "Port 8080" in check.words and "nginx (process 812)" in check.words
    assert "HTTP_PORT" in check.remedy and ".env" in check.remedy


def test_a_port_of_an_override_is_not_blamed_on_a_variable():
    check = checks.port_check("127.0.0.1", "", 5432, ports.TAKEN, None)
    assert "another program" in check.words
    assert "Compose file" in check.remedy


def test_the_port_proposed_instead_is_a_port():
    check = checks.port_check("127.0.0.1", "HTTPS_PORT", 65000, ports.TAKEN, None)
    proposed = int(check.remedy.rsplit("=", 1)[1].rstrip("."))
    assert 1 <= proposed <= 65535 and proposed != 65000


def test_a_port_that_somebody_listens_on_is_taken_and_its_holder_found():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        assert ports.look("127.0.0.1", number) == ports.TAKEN
        assert ports.look("0.0.0.0", number) == ports.TAKEN
        assert "process" in ports.holder(number)
    assert ports.look("127.0.0.1", number) == ports.FREE


def test_an_address_of_another_machine_is_told_apart_from_a_taken_port():
    assert ports.look("192.0.2.1", 8080) == ports.NO_SUCH_ADDRESS
    assert ports.look("not an address", 8080) == ports.NO_SUCH_ADDRESS


def test_a_port_that_our_own_stack_holds_is_free_for_it(make_container):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        ours = make_container(state="running", ports={number: "127.0.0.1"})
        chosen = settings_of({"HTTP_PORT": str(number)})
        assert checks.port_is_free(chosen, "HTTP_PORT", number, [ours]).verdict == GOOD


def test_a_new_bind_address_is_checked_even_while_our_stack_holds_the_port(make_container):
    ours = make_container(state="running", ports={8080: "127.0.0.1"})
    chosen = settings_of({"BIND_ADDRESS": "192.0.2.1"})
    assert "BIND_ADDRESS is 192.0.2.1" in checks.port_is_free(chosen, "HTTP_PORT", 8080, [ours]).words


def test_all_failed_checks_are_shown_together_each_with_its_remedy():
    found = [
        Check("memory", BAD, "too little memory", "give it more"),
        Check("engine", GOOD, "Docker Engine 28"),
        Check("port", BAD, "port taken", "take another"),
    ]
    with pytest.raises(Problem, match="2 things stand in the way; nothing was changed") as caught:
        checks.require(found)
    for words in ("too little memory", "give it more", "port taken", "take another"):
        assert words in caught.value.what
    assert "Docker Engine 28" not in caught.value.what
    assert caught.value.status == PRECONDITION


def test_notes_stop_nothing():
    checks.require([Check("disk", NOTE, "cannot be seen"), Check("engine", GOOD, "there")])


@pytest.mark.parametrize(
    ("no_client", "said", "systemd", "host", "what", "remedy"),
    [
        (True, "", True, "", "Docker is not installed", "up --install-docker"),
        (
            False,
            "permission denied while trying to connect",
            True,
            "",
            "permission denied",
            "usermod -aG docker",
        ),
        (False, "Cannot connect to the Docker daemon", True, "", "does not answer", "systemctl start docker"),
        (
            False,
            "Cannot connect to the Docker daemon",
            False,
            "",
            "does not answer",
            "./slipway install-docker",
        ),
        (
            False,
            "Cannot connect",
            False,
            "tcp://other:2376",
            "DOCKER_HOST is tcp://other:2376",
            "Unset DOCKER_HOST",
        ),
    ],
)
def test_an_engine_that_does_not_answer_gets_the_remedy_that_fits(
    no_client, said, systemd, host, what, remedy
):
    problem = engine.unreachable(no_client, said, systemd, host)
    assert what in problem.what
    assert remedy in problem.remedy
    assert problem.status == PRECONDITION
