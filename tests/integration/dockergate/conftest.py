"""The gate as a process before the engine of this machine, with names of its own; all it makes is removed."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import httpx
import pytest
from docker.errors import DockerException

from tests.support.processes import Processes, free_port

REPOSITORY = Path(__file__).parents[3]
sys.path.insert(0, str(REPOSITORY / "jupyterhub/hub"))


@dataclass
class Gate:
    url: str
    prefix: str
    image: str
    engine: docker.APIClient
    """The engine itself, to look at what became of a request."""
    log: Path

    def client(self) -> docker.APIClient:
        """As the hub has it."""
        return docker.APIClient(base_url=self.url.replace("http", "tcp"), version="auto")


@pytest.fixture(scope="session")
def engine() -> docker.APIClient:
    try:
        client = docker.from_env(version="auto").api
        client.ping()
    except DockerException:
        pytest.skip("no Docker Engine answers here")
    return client


@pytest.fixture(scope="session")
def gate(engine, tmp_path_factory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("dockergate")
    port, prefix = free_port(), f"slipway-gate-{os.getpid()}"
    image = f"{prefix}:1"
    engine.import_image_from_data(an_empty_image(), repository=prefix, tag="1")
    processes = Processes(folder)
    started = processes.start(
        "dockergate",
        [sys.executable, "-m", "dockergate"],
        environment={
            "PYTHONPATH": str(REPOSITORY / "services/dockergate"),
            "NOTEBOOK_NAME_PREFIX": prefix,
            "NOTEBOOK_IMAGES": image,
            "NOTEBOOK_SUBNETS": "10.214.0.0/24",
            "DOCKER_SOCKET": engine_socket(),
            "DOCKERGATE_HOST": "127.0.0.1",
            "DOCKERGATE_PORT": str(port),
        },
    )
    try:
        url = f"http://127.0.0.1:{port}"
        processes.wait_for("dockergate", started, f"{url}/_ping", below=400)
        yield Gate(url, prefix, image, engine, folder / "dockergate.log")
    finally:
        processes.stop_all()
        for one in engine.containers(all=True, filters={"name": f"{prefix}-"}):
            engine.remove_container(one["Id"], force=True, v=True)
        for one in engine.networks(names=[f"{prefix}-"]):
            engine.remove_network(one["Id"])
        for one in engine.volumes(filters={"name": f"{prefix}-"})["Volumes"] or []:
            engine.remove_volume(one["Name"])
        engine.remove_image(image, force=True)


@pytest.fixture
def http(gate) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gate.url, timeout=30) as client:
        yield client


def engine_socket() -> str:
    return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://")


def an_empty_image() -> bytes:
    """Enough to make containers of; none of them has a program to run."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as made:
        made.addfile(tarfile.TarInfo("nothing"))
    return archive.getvalue()
