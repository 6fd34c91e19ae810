"""A full disk: nothing is begun that cannot be finished, nothing that was written is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.embedded import environment
from infra.launcher.progress import Screen
from tests.support.installation import Embedded
from tests.support.person import Person
from tests.support.processes import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")

PROJECT = "slipway-e2e-disk"
BLOCK = bytes(2**20)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Path]:
    folder.mkdir()
    size = f"size={megabytes}m,mode=755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize(("megabytes", "found"), [(64, "64 MiB"), (700, "700 MiB")])
def test_a_first_start_says_what_room_is_needed_and_leaves_nothing(tmp_path, megabytes, found):
    with disk(tmp_path / "small", megabytes) as home:
        platform = Embedded(PROJECT, SLIPWAY_HOME=str(home))
        refused = platform.slipway("up", check=False)
        assert refused.returncode == 2
        assert f"{found} are free at {home}" in refused.stderr
        assert "1.8 GiB are needed" in refused.stderr
        assert platform.running() == []
        assert {path.name for path in home.iterdir()} <= {"logs", f"{PROJECT}.lock"}


@pytest.fixture
def on_a_small_disk(tmp_path) -> Iterator[Embedded]:
    """Its data on a disk of its own; the environment is the checkout's."""
    environment.ensure(Screen())
    with disk(tmp_path / "disk", 320) as home:
        for made in (environment.PLATFORM, environment.NOTEBOOK, environment.TEMPLATE):
            (home / made.name).symlink_to(made)
        platform = Embedded(PROJECT, SLIPWAY_HOME=str(home), SERVING_POLL_SECONDS="1")
        try:
            yield platform
        finally:
            platform.slipway("down", check=False)


def fill(folder: Path) -> Path:
    """To the last byte."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(BLOCK[:size]):
                    continue
            except OSError:
                continue
    assert shutil.disk_usage(folder).free == 0
    return filler


def test_a_running_platform_predicts_on_a_full_disk_and_goes_on_when_there_is_room(on_a_small_disk):
    platform = on_a_small_disk
    person = Person(platform.url, platform.up())
    person.rolls_out_a_first_model()
    services, experiments = platform.services(), person.experiments()
    filler = fill(platform.home)

    assert all(person.predicts().status_code == 200 for _ in range(20))
    refused = [person.makes_an_experiment(f"{number} {'x' * 400}") for number in range(40)]
    assert any(answer.status_code >= 500 for answer in refused)
    assert all(answer.status_code == 200 or answer.status_code >= 500 for answer in refused)
    written = {f"{number} {'x' * 400}" for number in range(40) if refused[number].status_code == 200}

    filler.unlink()
    assert eventually(lambda: person.makes_an_experiment("there is room").status_code == 200, 10)
    assert person.predicts().status_code == 200
    assert person.experiments() == experiments | written | {"there is room"}
    assert platform.services() == services
    assert person.http.get(f"/hub/api/users/{person.name}").status_code == 200
    platform.slipway("down")
    assert platform.damaged_databases() == []
