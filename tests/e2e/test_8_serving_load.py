"""Serving under load through the gateway: rollouts, replicas that come and go, shares of the requests.
Nothing is lost, and no answer comes from a version that was not live.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict

import httpx
import pytest

from tests.e2e.served import NAME, POINT, Served, wrong
from tests.support.installation import Stack
from tests.support.load import percentile
from tests.support.processes import eventually

ROLLOUTS = 20
REPLICAS = 3
SHARE = 30
REQUESTS = "slipway_serving_requests_total"


@pytest.fixture(scope="module", autouse=True)
def follows_quickly(platform, served):
    """A look at the registry twice a second, so that twenty rollouts take a test's time."""
    stack = platform.installation
    if stack is not None:
        stack.environment["SERVING_POLL_SECONDS"] = "0.5"
        scale(stack, 1)
    yield
    if stack is not None:
        del stack.environment["SERVING_POLL_SECONDS"]
        scale(stack, 1)


@pytest.fixture(scope="module")
def replicas(platform, follows_quickly) -> Stack:
    """A stack with several."""
    stack = platform.installation
    if stack is None:
        pytest.skip("this test looks inside the platform, which was given by its address alone")
    scale(stack, REPLICAS)
    return stack


def scale(stack: Stack, count: int) -> None:
    """As an operator does; then until each of them is well."""
    stack.compose("up", "--detach", "--no-deps", "--no-build", "--scale", f"serving={count}", "serving")
    assert eventually(lambda: len(ready(stack)) == count, 90), stack.compose("logs", "serving").stdout[-4000:]


def ready(stack: Stack) -> set[str]:
    """The containers that answer."""
    return {one for one in containers(stack) if inside(stack, one, "/ready") is not None}


def containers(stack: Stack) -> set[str]:
    return set(stack.compose("ps", "--quiet", "serving").stdout.split())


def inside(stack: Stack, container: str, path: str) -> str | None:
    """What one replica answers, past the gateway."""
    url = f"http://127.0.0.1:8000{path}"
    ask = f"import urllib.request as r; print(r.urlopen('{url}', timeout=5).read().decode())"
    done = stack.docker("exec", container, "python", "-c", ask, check=False)
    return done.stdout if done.returncode == 0 else None


def counts(stack: Stack, metric: str, label: str, **labels: str) -> dict[str, dict[str, float]]:
    """By replica, the values of a metric by one label of theirs."""
    found: dict[str, dict[str, float]] = {}
    for one in containers(stack):
        values: dict[str, float] = defaultdict(float)
        for line in (inside(stack, one, "/metrics") or "").splitlines():
            if match := re.fullmatch(rf"{metric}{{(.*)}} (\S+)", line):
                said = dict(re.findall(r'(\w+)="([^"]*)"', match[1]))
                if labels.items() <= said.items():
                    values[said[label]] += float(match[2])
        found[one] = dict(values)
    return found


def test_twenty_rollouts_under_load_lose_nothing_and_answer_from_live_versions(
    served: Served, record_property
):
    served.move("1")
    assert served.becomes("1")
    moves: list[tuple[float, float, str]] = []
    with served.load() as load:
        time.sleep(3)
        for number in range(ROLLOUTS):
            version = "2" if number % 2 == 0 else "1"
            began = time.monotonic()
            served.move(version)
            assert served.becomes(version), served.described()
            moves.append((began, time.monotonic(), version))
            time.sleep(0.3)
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)
    for one in load.answers:
        assert one.version in live_between(moves, one.sent, one.came), one
    assert {one.version for one in load.answers} == {"1", "2"}
    swaps, steady = [], []
    for one in load.answers:
        near = any(began <= one.came and one.sent <= ended for began, ended, _ in moves)
        (swaps if near else steady).append(one.seconds)
    told = {
        "requests": len(load.answers),
        "steady_p99_ms": round(percentile(steady, 99), 1),
        "swap_p99_ms": round(percentile(swaps, 99), 1),
    }
    print(told)
    for key, value in told.items():
        record_property(key, value)


def live_between(moves: list[tuple[float, float, str]], sent: float, came: float) -> set[str]:
    """The versions that were Production some time in between: each from when its move began until the next
    one's was confirmed."""
    begins = [float("-inf"), *(began for began, _, _ in moves)]
    ends = [*(ended for _, ended, _ in moves), float("inf")]
    versions = ["1", *(version for _, _, version in moves)]
    return {v for b, e, v in zip(begins, ends, versions, strict=True) if b <= came and sent <= e}


def test_replicas_come_are_replaced_and_go_under_load_and_nothing_is_lost(served: Served, stack: Stack):
    (first,) = containers(stack)
    with served.load(patience=40) as load:
        scale(stack, REPLICAS)
        time.sleep(2)
        before = containers(stack)
        assert first in before, "the one that there was goes on"
        assert all(sum(one.values()) > 0 for one in counts(stack, REQUESTS, "outcome").values())
        stack.slipway("restart", "serving")
        after = containers(stack)
        assert len(after) == REPLICAS and not before & after
        time.sleep(2)
        assert all(sum(one.values()) > 0 for one in counts(stack, REQUESTS, "outcome").values())
        scale(stack, 1)
        time.sleep(2)
    assert not load.failed(), load.summary()
    assert not wrong(load.answers)


def test_a_single_replica_is_restarted_under_load_and_nothing_is_lost(served: Served, stack: Stack):
    scale(stack, 1)
    (before,) = containers(stack)
    with served.load(patience=40) as load:
        stack.slipway("restart", "serving")
        time.sleep(1)
    (after,) = containers(stack)
    assert before != after
    assert not load.failed(), load.summary()


def everywhere(stack: Stack, alias: str, percent: float, version: str | None = None) -> bool:
    """Every replica has heard of the share, and has loaded the version that gets it."""
    found = counts(stack, "slipway_serving_traffic_percent", "alias", model=NAME)
    if version is not None:
        loaded = counts(stack, "slipway_serving_version_loaded", "version", model=NAME)
        if not all(one.get(version) for one in loaded.values()):
            return False
    return all(one.get(alias) == percent for one in found.values())


def test_a_canary_gets_its_share_from_all_replicas_and_keeps_whom_it_has(served: Served, replicas: Stack):
    assert served.becomes("1", times=9)
    served.command("canary", NAME, "2", "--percent", str(SHARE))
    try:
        assert eventually(lambda: everywhere(replicas, "canary", SHARE, "2"), 60)
        with served.load(pause=0) as load:
            eventually(lambda: len(load.answers) > 1500, 30)
        assert not load.failed(), load.summary()
        assert not wrong(load.answers)
        share = 100 * sum(one.version == "2" for one in load.answers) / len(load.answers)
        assert share == pytest.approx(SHARE, abs=6)

        sessions = {number: versions(served, 6, f"session-{number}") for number in range(40)}
        assert all(len(found) == 1 for found in sessions.values()), sessions
        with_canary = sum(found == {"2"} for found in sessions.values())
        assert 2 <= with_canary <= 25

        served.command("canary", NAME, "--percent", "50", "--sticky", "caller")
        assert eventually(lambda: everywhere(replicas, "canary", 50), 20)
        assert len(versions(served, 15)) == 1
    finally:
        served.command("canary", NAME, "--off")
    assert eventually(lambda: everywhere(replicas, "canary", 0), 20)
    assert versions(served, 15) == {"1"}


def versions(served: Served, times: int, sticky: str | None = None) -> set[str]:
    headers = {"X-Slipway-Sticky": sticky} if sticky else {}
    return {served.asks(headers=headers).json()["version"] for _ in range(times)}


def test_a_shadow_is_asked_the_same_by_all_replicas_and_answers_nobody(served: Served, replicas: Stack):
    metric = "slipway_serving_shadow_comparisons_total"
    assert served.becomes("1", times=9)
    served.command("shadow", NAME, "3")
    try:
        assert eventually(lambda: everywhere(replicas, "shadow", 100, "3"), 60)
        asked = 90
        assert versions(served, asked) == {"1"}

        def compared() -> Counter:
            found = counts(replicas, metric, "outcome", model=NAME, shadow_version="3").values()
            return sum(map(Counter, found), Counter())

        assert eventually(lambda: sum(compared().values()) == asked, 20), compared()
        assert compared()["different"] > 0 and set(compared()) <= {"different", "dropped"}
        by_replica = counts(replicas, metric, "outcome", model=NAME, shadow_version="3")
        assert all(sum(one.values()) > 0 for one in by_replica.values())
    finally:
        served.command("shadow", NAME, "--off")


def test_visitors_of_all_replicas_are_counted_once_each(served: Served, replicas: Stack):
    before = served.settled()
    with served.load() as load:
        time.sleep(2)
    assert not load.failed(), load.summary()
    assert served.settled() == before + len(load.answers)


def test_a_revoked_key_is_refused_by_every_replica(served: Served, replicas: Stack):
    with served.person.application("soon-revoked", NAME) as other:

        def statuses() -> set[int]:
            asked = [other.post(f"/serving/models/{NAME}/predict", json=POINT) for _ in range(4 * REPLICAS)]
            return {one.status_code for one in asked}

        assert statuses() == {httpx.codes.OK}
        served.command("keys", "revoke", "soon-revoked")
        assert eventually(lambda: statuses() == {httpx.codes.UNAUTHORIZED}, 15)
