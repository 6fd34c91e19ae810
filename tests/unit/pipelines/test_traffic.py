"""How a model's tags of canary and shadow are read."""

from __future__ import annotations

import pytest
from mlflow.entities.model_registry import RegisteredModel, RegisteredModelAlias, RegisteredModelTag

from pipelines import traffic


def model(aliases: dict[str, str], tags: dict[str, str]) -> RegisteredModel:
    return RegisteredModel(
        "red-blue",
        tags=[RegisteredModelTag(key, value) for key, value in tags.items()],
        aliases=[RegisteredModelAlias(alias, version) for alias, version in aliases.items()],
    )


@pytest.mark.parametrize(
    ("kind", "tags", "percent"),
    [
        ("canary", {}, 0),
        ("canary", {"slipway.canary": "12.5"}, 12.5),
        ("canary", {"slipway.canary": "all"}, None),
        ("canary", {"slipway.canary": "101"}, None),
        ("canary", {"slipway.canary": "nan"}, None),
        ("shadow", {}, 100),
        ("shadow", {"slipway.shadow": "0"}, 0),
        ("shadow", {"slipway.shadow": "-1"}, None),
    ],
)
def test_a_share_is_a_number_from_0_to_100(kind, tags, percent):
    assert traffic.percent_of(model({kind: "2"}, tags), kind) == percent


@pytest.mark.parametrize(
    ("aliases", "tags", "lines"),
    [
        ({"production": "1"}, {"slipway.canary": "50"}, []),
        (
            {"canary": "2"},
            {"slipway.canary": "5", "slipway.canary.sticky": "caller"},
            ["canary: version 2 answers 5 % of the requests, each caller always or never"],
        ),
        (
            {"canary": "2"},
            {"slipway.canary": "5", "slipway.canary.sticky": "moon"},
            ["canary: version 2 answers 5 % of the requests, each request by chance"],
        ),
        (
            {"canary": "2", "shadow": "3"},
            {"slipway.canary": "x"},
            [
                "canary: version 2 gets no requests: slipway.canary is 'x', which is no number from 0 to 100",
                "shadow: version 3 is asked too for 100 % of the requests",
            ],
        ),
    ],
)
def test_what_is_there_is_told_in_a_line_each(aliases, tags, lines):
    assert traffic.describe(model(aliases, tags)) == lines
