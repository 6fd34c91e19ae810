"""What the rooms' integration tests share: servers as processes of one test, ports and programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support.processes import Processes, free_port, program


@pytest.fixture
def processes(tmp_path) -> Iterator[Processes]:
    started = Processes(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture(name="free_port")
def free_port_fixture() -> Callable[[], int]:
    return free_port


@pytest.fixture(name="program")
def program_fixture() -> Callable[[str], str]:
    return program
