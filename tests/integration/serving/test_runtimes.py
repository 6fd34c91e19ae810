"""Converting to ONNX as it is done when serving: in a process of its own, with an end to it."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, str(Path(__file__).parents[3] / "services" / "serving"))

from slipway_serving.runtimes import Loaded, Unsuitable, onnx
from slipway_serving.table import Table

POINTS = np.random.default_rng(1).normal(size=(500, 2))
FOREST = RandomForestClassifier(50, max_depth=7, random_state=1).fit(POINTS, POINTS[:, 0] > POINTS[:, 1])


def test_a_forest_is_converted_in_another_process_and_answers_alike():
    before = "skl2onnx" in sys.modules
    runtime = onnx.offer(Loaded(None, FOREST, ("x", "y")))
    assert (runtime.predict(Table(["x", "y"], matrix=POINTS)) == FOREST.predict(POINTS)).all()
    assert ("skl2onnx" in sys.modules) == before


def test_a_conversion_that_takes_too_long_is_stopped():
    began = time.monotonic()
    with pytest.raises(Unsuitable, match="longer than"):
        onnx.offer(
            Loaded(None, RandomForestClassifier(500).fit(POINTS, POINTS[:, 0] > 0), ("x", "y"), seconds=0)
        )
    assert time.monotonic() - began < 10
