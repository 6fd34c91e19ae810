"""Debian 13 with its Python 3.13, no Docker and no root: `./slipway up`, without a word more."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.launcher import settings, ways
from tests.support.checkout import archive
from tests.support.installation import REPOSITORY, Embedded
from tests.support.person import Person

pytestmark = pytest.mark.skipif(not ways.an_engine_answers(), reason="Debian 13 runs in a container")

IMAGE = "slipway-e2e/debian:python"
# The same packages, in the same words, as the images of the services: it is in the build cache.
DOCKERFILE = f"""\
ARG BASE_IMAGE
FROM ${{BASE_IMAGE}}
{re.search("RUN apt-get.*", (REPOSITORY / "services/portal/Dockerfile").read_text()).group()}
RUN groupadd -g 1000 slipway && useradd -u 1000 -g 1000 -m slipway
USER 1000:1000
WORKDIR /home/slipway
"""


class InContainer(Embedded):
    """In the network of this machine, so that the tests reach what listens on 127.0.0.1 alone."""

    way = ""
    container = ""

    def slipway(
        self, *arguments: str, check: bool = True, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        given = [f"--env={name}={value}" for name, value in self.options.items()]
        command = ["docker", "exec", *given, "--workdir=/home/slipway/main", self.container]
        return self._run([*command, "./slipway", *arguments], check, timeout)


def docker(*arguments: str, given: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=given, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.decode().strip()


@pytest.fixture
def debian(tmp_path: Path) -> Iterator[InContainer]:
    # The stack's tests, which come first, have noted it where no registry is reached.
    base = settings.load().values.get("BASE_IMAGE") or "debian:trixie-slim"
    docker("build", f"--build-arg=BASE_IMAGE={base}", "--tag", IMAGE, "-", given=DOCKERFILE.encode())
    platform = InContainer("slipway", SERVING_POLL_SECONDS="1")
    run = ("run", "--detach", "--rm", "--init", "--network=host")
    platform.container = docker(*run, IMAGE, "sleep", "infinity")
    try:
        docker(
            "exec",
            "-i",
            platform.container,
            "tar",
            "-x",
            "-C",
            "/home/slipway",
            given=archive(tmp_path, "main"),
        )
        yield platform
    finally:
        docker("kill", platform.container)


def test_a_bare_debian_comes_to_its_first_prediction(debian):
    said = debian.slipway("up").stdout
    assert said.startswith("No Docker Engine answers, so Slipway starts embedded")
    assert "`./slipway up --docker`" in said.splitlines()[0]
    python = ("docker", "exec", debian.container, "main/.slipway/venv-platform/bin/python", "--version")
    assert "3.13" in debian._run([*python], True, 60).stdout

    person = Person(debian.url, re.search(r"http\S+one-time-login\S+", said).group())
    person.rolls_out_a_first_model()
    assert person.predicts().status_code == 200
    person.starts_a_server()
    assert person.starts_a_kernel().runs("print(6 * 7)") == "42\n"
    debian.slipway("down")
    left = docker("top", debian.container, "-eo", "pid,args").splitlines()[1:]
    assert [line for line in left if "sleep infinity" not in line] == []
