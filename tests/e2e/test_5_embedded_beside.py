"""A second platform beside the first, in the same checkout; once it was there, it needs no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.support.installation import REPOSITORY, Embedded
from tests.support.person import Person

WAYS = ("embedded",)
PROJECT = "slipway-e2e-second"
WITHOUT_A_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
PREDICT = """\
import sys
from tests.support.person import Person
person = Person(*sys.argv[1:])
assert person.predicts().status_code == 200
assert "red-blue" in person.experiments()
"""


@pytest.fixture(scope="module")
def second(platform):
    """At the port that is offered when another is taken."""
    taken = platform.installation.options["HTTP_PORT"]
    refused = Embedded(PROJECT, HTTP_PORT=taken).slipway("up", check=False)
    assert refused.returncode == 2
    assert re.search(rf"Port {taken} is taken by caddy \(process \d+\)", refused.stderr)
    offered = re.search(r"HTTP_PORT=(\d+) \./slipway up", refused.stderr).group(1)
    second = Embedded(PROJECT, HTTP_PORT=offered, SERVING_POLL_SECONDS="1")
    second.slipway("down", "--volumes", "--yes", check=False)
    yield second
    second.slipway("down", "--volumes", "--yes")


def test_both_answer_and_stopping_one_leaves_the_other_alone(platform, installation, second):
    first = installation.services()
    person = Person(second.url, second.up())
    person.rolls_out_a_first_model()
    assert person.predicts().status_code == 200
    assert platform.get("/").status_code == 200
    assert not set(second.services().values()) & set(first.values())

    second.slipway("down")
    assert second.running() == []
    assert installation.services() == first
    assert platform.get("/").status_code == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take the network away")
def test_it_starts_and_predicts_without_a_network(second):
    second.prefix = WITHOUT_A_NETWORK
    link = second.up()
    there = ("nsenter", f"--target={second.supervisor()}", "--net")
    predicted = subprocess.run(
        [*there, sys.executable, "-c", PREDICT, second.url, link],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert predicted.returncode == 0, predicted.stderr
