"""One launcher at a time for a project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.launcher.lock import only_one
from infra.launcher.problem import PRECONDITION, Problem

ROOT = Path(__file__).parents[3]


def test_a_second_launcher_is_told_which_one_is_at_work(tmp_path):
    with only_one("slipway", "up", tmp_path):
        holder = rf"\./slipway up \(process {os.getpid()}\)"
        with pytest.raises(Problem, match=holder) as caught, only_one("slipway", "down", tmp_path):
            pytest.fail("two launchers at once")
        assert caught.value.status == PRECONDITION
    with only_one("slipway", "down", tmp_path):
        pass


def test_another_project_is_not_in_the_way(tmp_path):
    with only_one("slipway", "up", tmp_path), only_one("slipway-two", "up", tmp_path):
        assert len(list(tmp_path.iterdir())) == 2


def test_a_launcher_that_was_killed_holds_nothing(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from infra.launcher.lock import only_one\n"
        f"with only_one('slipway', 'up', Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Problem), only_one("slipway", "up", tmp_path):
        pytest.fail("two launchers at once")
    process.kill()
    process.wait()
    process.stdout.close()
    with only_one("slipway", "up", tmp_path):
        pass
