"""A shadow's answers are compared and counted; nothing it does, or does not, reaches a caller."""

import threading
import time
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from slipway_serving.registry import Target
from slipway_serving.shadow import Shadows
from slipway_serving.slots import Choice
from slipway_serving.table import Table

ROWS = Table(["a", "b"], matrix=np.array([[1.0, 2.0], [3.0, 4.0]]))
SUMS = np.array([3.0, 7.0])


def version(number, predict, signature="same", inputs=None):
    return SimpleNamespace(
        target=Target("red-blue", number, 7),
        name="red-blue",
        version=number,
        predict=predict,
        signature={"inputs": signature},
        inputs=inputs,
    )


def answering(predict, number="2", **more):
    shadow = version(number, lambda data, params, probabilities: predict(data.matrix()), **more)
    return Choice(version("1", None), "production", shadow)


@pytest.fixture
def seen():
    return Counter()


@pytest.fixture
def shadows(seen):
    shadows = Shadows(lambda *told: seen.update([told]))
    yield shadows
    shadows.close()


def eventually(true):
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it was not told"
        time.sleep(0.01)


def refuse(matrix):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("predict", "outcome"),
    [
        (lambda matrix: matrix.sum(axis=1), "equal"),
        (lambda matrix: matrix.sum(axis=1) * (1 + 1e-9), "equal"),
        (lambda matrix: matrix.sum(axis=1) * 1.01, "different"),
        (lambda matrix: matrix.sum(axis=1)[:1], "different"),
        (refuse, "failed"),
    ],
)
def test_answers_are_compared_and_counted(shadows, seen, predict, outcome):
    shadows.copy(answering(predict), ROWS, None, SUMS)
    eventually(lambda: seen)
    assert seen == {("red-blue", "1", "2", outcome): 1}


def test_a_request_without_a_shadow_is_not_copied(shadows, seen):
    shadows.copy(Choice(version("1", None), "production"), ROWS, None, SUMS)
    time.sleep(0.05)
    assert not seen


def test_what_does_not_fit_the_queue_is_dropped_and_counted_and_nobody_waits(seen):
    go_on = threading.Event()

    def hang(matrix):
        go_on.wait(20)
        return matrix.sum(axis=1)

    shadows = Shadows(lambda *told: seen.update([told]), waiting=5)
    choice = answering(hang)
    began = time.monotonic()
    for _ in range(50):
        shadows.copy(choice, ROWS, None, SUMS)
    assert time.monotonic() - began < 1
    dropped = seen["red-blue", "1", "2", "dropped"]
    assert 44 <= dropped <= 45  # five wait, one may be asked already
    # Another shadow goes on beside one that hangs.
    shadows.copy(answering(lambda matrix: matrix.sum(axis=1), "3"), ROWS, None, SUMS)
    eventually(lambda: seen["red-blue", "1", "3", "equal"])
    go_on.set()
    shadows.close()


def test_rows_that_wait_are_bounded_too(seen):
    go_on = threading.Event()
    shadows = Shadows(lambda *told: seen.update([told]), rows=5)
    choice = answering(lambda matrix: go_on.wait(20))
    for _ in range(20):
        shadows.copy(choice, ROWS, None, SUMS)
    assert seen["red-blue", "1", "2", "dropped"] >= 17
    go_on.set()
    shadows.close()


def test_a_shadow_with_another_signature_is_asked_by_its_own(shadows, seen):
    def from_frame(frame, field):
        return Table(["b", "a"], matrix=frame[["b", "a"]].to_numpy())

    choice = answering(
        lambda matrix: matrix @ np.array([10.0, 1.0]),
        signature="other",
        inputs=SimpleNamespace(from_frame=from_frame),
    )
    shadows.copy(choice, ROWS, None, np.array([21.0, 43.0]))
    eventually(lambda: seen)
    assert seen == {("red-blue", "1", "2", "equal"): 1}
