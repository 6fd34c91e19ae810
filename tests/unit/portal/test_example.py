"""The command on the page must work when pasted into a shell."""

from __future__ import annotations

import json
import subprocess

import pytest
from slipway_portal.example import curl, make_key
from slipway_portal.state import ProductionModel

PUBLIC_URL = "https://ml.example.com"


def model(name: str, *columns: tuple[str, str]) -> ProductionModel:
    return ProductionModel(name=name, version="1", columns=columns)


def parsed(command: str) -> tuple[str, dict]:
    """The address and the body, as a real shell hands them to curl."""
    script = f"SLIPWAY_KEY=slipway_abc; curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    address, *header, data, body = done.stdout.removesuffix("\0").split("\0")
    assert header == ["-H", "Authorization: Bearer slipway_abc", "-H", "Content-Type: application/json"]
    assert data == "-d"
    return address, json.loads(body)


def test_the_only_model_is_the_default_one():
    address, body = parsed(curl(PUBLIC_URL, (model("iris", ("length", "double"), ("count", "long")),)))
    assert address == "https://ml.example.com/serving/predict"
    assert body == {"inputs": [{"length": 1.0, "count": 1}]}


def test_one_of_several_is_asked_by_its_name():
    models = model("no-columns"), model("churn & co", ("age", "integer"))
    address, body = parsed(curl(PUBLIC_URL, models))
    assert address == "https://ml.example.com/serving/models/churn%20%26%20co/predict"
    assert body == {"inputs": [{"age": 1}]}


@pytest.mark.parametrize("column", ["it's", '"quoted"', "$HOME `id` \\", "größe"])
def test_odd_column_names_survive_the_shell(column):
    _, body = parsed(curl(PUBLIC_URL, (model("iris", (column, "string")),)))
    assert body == {"inputs": [{column: "text"}]}


@pytest.mark.parametrize("models", [None, (), (model("tensors"),), (model("odd", ("when", "binary")),)])
def test_the_worked_example_stands_in_where_nothing_better_is_known(models):
    address, body = parsed(curl(PUBLIC_URL, models))
    assert address == "https://ml.example.com/serving/predict"
    assert body == {"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]}


def test_the_key_is_for_the_model_that_is_asked():
    assert "--models MODEL " in make_key(None)
    assert "--models 'churn & co' " in make_key(
        (model("no-columns"), model("churn & co", ("age", "integer")))
    )
