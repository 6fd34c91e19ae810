"""A preparation that is written down: taken up again without another, and never where it does not hold."""

import json
import shutil

import mlflow
import numpy as np
import pandas as pd
import pytest
import sklearn
from mlflow.models import infer_signature
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from slipway_serving.model import Unloadable, first_load
from slipway_serving.preparing import Preparer
from slipway_serving.registry import Target
from slipway_serving.runtimes import findings

ONE = Target("red-blue", "1", 7)
RANDOM = np.random.default_rng(7)
POINTS = pd.DataFrame(RANDOM.normal(size=(200, 2)), columns=["x", "y"])
COLOURS = np.where(POINTS.sum(axis=1) > 0, "Red", "Blue")


def save(folder, **more):
    model = make_pipeline(MinMaxScaler(), RandomForestClassifier(10, random_state=1)).fit(POINTS, COLOURS)
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(POINTS, model.predict(POINTS)),
        input_example=POINTS.head(3),
        skops_trusted_types=["sklearn.tree._tree.Tree"],
        **{"pip_requirements": ["scikit-learn"], **more},
    )
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture
def folder(saved, tmp_path):
    """The version's files, its preparation not yet found."""
    return shutil.copytree(saved, tmp_path / "m", ignore=shutil.ignore_patterns(".slipway"))


def load(folder, **more):
    return first_load(folder, ONE, 100, **more)


def finding_for(folder, runtime="trees", key=None):
    finding = findings.Finding({"runtime": runtime, "candidates": []}, runtime, True, {1: 1e-5, 64: 2e-5})
    findings.write(folder / ".slipway", finding, key or findings.fingerprint(None, 1))
    return finding


def test_what_a_child_process_found_is_used_and_kept_for_the_next_start(folder):
    prepared = Preparer(120, 1, 100).prepare(folder, load(folder))
    assert prepared.runtime.name in ("tables", "trees", "onnx")
    assert prepared.preparation["state"] == "done"
    assert {1, 64} <= prepared.seconds.keys()
    assert prepared.row_wise
    tried = {one["name"]: one for one in prepared.preparation["candidates"]}
    assert tried["trees"]["agreed"] == tried["trees"]["compared"] > 4000
    again = Preparer(0.001, 1, 100).prepare(folder, load(folder))  # no time for another look
    assert again.runtime.name == prepared.runtime.name
    assert again.preparation == prepared.preparation
    assert list(again.predict(prepared.trial[0])) == list(prepared.predict(prepared.trial[0]))


def test_what_was_found_with_other_libraries_pins_or_options_does_not_hold(folder):
    finding_for(folder)
    preparer = Preparer(30, 1, 100)
    assert preparer.recall(folder, load(folder)).runtime.name == "trees"
    assert Preparer(30, 2, 100).recall(folder, load(folder)).loaded is not None
    pinned = load(folder, tags={"slipway.runtime": "sklearn"})
    assert preparer.recall(folder, pinned).loaded is not None
    finding_for(folder, key="of other libraries")
    assert preparer.recall(folder, load(folder)).loaded is not None


def test_what_was_found_is_checked_again_and_left_where_it_answers_otherwise(folder, monkeypatch):
    finding_for(folder)
    offer = findings.CANDIDATES["trees"]

    def wrong(loaded):
        runtime = offer(loaded)
        runtime.predict = lambda data, params=None: np.array(["Red"] * len(data), object)
        return runtime

    monkeypatch.setitem(findings.CANDIDATES, "trees", wrong)
    model = Preparer(30, 1, 100).recall(folder, load(folder))
    assert (model.runtime.name, model.loaded is not None) == ("pyfunc", True)


@pytest.mark.parametrize("damage", ["{", "[]", json.dumps({"key": "x"})])
def test_a_finding_that_cannot_be_read_is_none(folder, damage):
    finding_for(folder)
    (folder / ".slipway" / "prepared.json").write_text(damage)
    assert findings.read(folder / ".slipway", findings.fingerprint(None, 1)) is None


def test_what_was_made_of_the_model_must_be_whole(folder):
    key = findings.fingerprint(None, 1)
    findings.write(folder / ".slipway", findings.Finding({}, "onnx", converted={"onnx": b"abc"}), key)
    assert findings.read(folder / ".slipway", key).converted == {"onnx": b"abc"}
    (folder / ".slipway" / "onnx").write_bytes(b"abd")
    assert findings.read(folder / ".slipway", key) is None


def test_a_preparation_without_the_time_for_it_ends_with_a_quick_look_and_says_so(folder, monkeypatch):
    monkeypatch.setattr("slipway_serving.preparing._WRITING_SECONDS", -3.0)
    model = Preparer(1.0, 1, 100).prepare(folder, load(folder))
    assert "it was not done after 4 s" in model.preparation["error"]
    assert model.loaded is not None  # another try may follow
    assert model.runtime.name in ("pyfunc", "sklearn", "trees", "direct")


def test_a_quick_look_finds_what_need_not_be_converted(folder):
    model = Preparer(30, 1, 100).quick(load(folder))
    tried = {one["name"]: one["state"] for one in model.preparation["candidates"]}
    assert tried["onnx"] == "not tried"
    assert (model.preparation["state"], model.runtime.name) == ("running", "trees")


def test_without_a_look_or_with_pyfunc_pinned_mlflows_own_runtime_answers(folder):
    turned_off = Preparer(0, 1, 100).prepare(folder, load(folder))
    pinned = Preparer(30, 1, 100).prepare(folder, load(folder, tags={"slipway.runtime": "pyfunc"}))
    for model, why in ((turned_off, "turned off"), (pinned, "pyfunc is pinned")):
        assert (model.runtime.name, model.loaded) == ("pyfunc", None)
        assert why in model.preparation["candidates"][-1]["reason"]
    assert pinned.preparation["pinned"] == "pyfunc"


def test_a_version_must_answer_its_example_as_its_owner_says(saved, tmp_path):
    right = load(saved).predict(load(saved).trial[0])
    assert load(saved, tags={"slipway.expected": json.dumps(list(right))})
    wrong = json.dumps([{"Red": "Blue", "Blue": "Red"}[right[0]], *right[1:]])
    with pytest.raises(Unloadable, match=r"expected is .* \(slipway.expected\)"):
        load(saved, tags={"slipway.expected": wrong})
    with pytest.raises(Unloadable, match="not JSON"):
        load(saved, tags={"slipway.expected": "Red"})
    logged = save(tmp_path / "logged", metadata={"slipway.expected": json.loads(wrong)})
    with pytest.raises(Unloadable, match="its answer to its own input example is"):
        load(logged)


def test_a_version_that_does_not_load_says_what_its_environment_lacks(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "m")
    (tmp_path / "m" / "requirements.txt").write_text(
        "mlflow==1\nno-such-library==3\nscikit-learn==0.1\n-e .\n"
    )
    assert load(tmp_path / "m").preparation["environment"] == [
        "it needs no-such-library==3, which is not installed here",
        f"it needs scikit-learn==0.1, here is {sklearn.__version__}",
    ]
    (tmp_path / "m" / "model.skops").write_bytes(b"not a model")
    with pytest.raises(Unloadable, match=r"does not load: .*no-such-library==3, which is not installed here"):
        load(tmp_path / "m")
