"""The embedded platform under load: a restart of serving loses nothing, and a canary gets its share."""

from __future__ import annotations

import time

import pytest

from tests.e2e.served import NAME, Served, wrong
from tests.support.installation import Embedded
from tests.support.processes import eventually

WAYS = ("embedded",)


def test_a_restart_under_load_loses_nothing(served: Served, installation: Embedded):
    before = installation.services()
    with served.load(patience=40) as load:
        time.sleep(1)
        installation.slipway("restart", "serving")
        time.sleep(1)
    after = installation.services()
    assert {name for name in before if before[name] != after[name]} == {"serving"}
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)


def test_a_canary_gets_its_share_and_ends_when_it_is_rolled_out(served: Served):
    served.command("canary", NAME, "2", "--percent", "40")
    assert eventually(lambda: versions(served, 20) == {"1", "2"}, 20)
    with served.load(pause=0) as load:
        eventually(lambda: len(load.answers) > 800, 30)
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)
    share = 100 * sum(one.version == "2" for one in load.answers) / len(load.answers)
    assert share == pytest.approx(40, abs=8)
    said = served.command("rollout", NAME, "2")
    assert "version 2 is no canary any more" in said
    assert eventually(lambda: versions(served, 20) == {"2"}, 20)


def versions(served: Served, times: int) -> set[str]:
    return {served.asks().json()["version"] for _ in range(times)}
