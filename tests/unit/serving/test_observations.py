"""What Prometheus is told of requests and batches, and that telling it costs a request next to nothing."""

import re
import timeit
from types import SimpleNamespace

import pytest
from slipway_serving.identity import application
from slipway_serving.metrics import Metrics
from slipway_serving.observations import Exchange, Observations
from slipway_serving.registry import Target
from slipway_serving.visitors import Visitors
from slipway_serving.visitors_journal import Journals

SHOP = application("shop", "k1", ["a"])
MODEL = SimpleNamespace(target=Target("a", "2", 0))


@pytest.fixture
def observations(tmp_path):
    return Observations(Metrics(), Visitors(SimpleNamespace(), Journals(tmp_path)))


def exchange(**changes):
    facts = {
        "model": MODEL,
        "route": "predict",
        "by": "production",
        "outcome": "ok",
        "status": 200,
        "rows": 1,
        "seconds": 0.0003,
        "queued": 0.0,
        "caller": SHOP,
    }
    return Exchange(**{**facts, **changes})


def scraped(observations):
    """{'name{labels}': value}"""
    lines = re.findall(
        r"^(slipway_serving_\S+?(?:\{.*\})?) (\S+)$", observations.metrics.text().decode(), re.M
    )
    return {name: float(value) for name, value in lines if "_created" not in name}


def test_requests_are_counted_by_model_version_route_and_outcome(observations):
    for more in ({}, {}, {"route": "v2"}, {"outcome": "invalid_input", "status": 422}, {"by": "canary"}):
        observations.note(exchange(**more))
    observations.note(exchange(model=None, outcome="unknown_model", status=404))
    metrics = scraped(observations)
    name = "slipway_serving_requests_total"
    assert metrics[f'{name}{{model="a",outcome="ok",route="predict",version="2"}}'] == 3
    assert metrics[f'{name}{{model="a",outcome="ok",route="v2",version="2"}}'] == 1
    assert metrics[f'{name}{{model="a",outcome="invalid_input",route="predict",version="2"}}'] == 1
    assert metrics[f'{name}{{model="",outcome="unknown_model",route="predict",version=""}}'] == 1
    assert metrics['slipway_serving_chosen_total{by="canary",model="a",version="2"}'] == 1
    assert metrics['slipway_serving_chosen_total{by="production",model="a",version="2"}'] == 4
    assert observations.visitors.report()["total"] == 4, "what was refused is no visit"


def test_histograms_of_latency_queueing_and_rows_fit_what_was_noted(observations):
    for seconds, queued, rows in [(0.00003, 0, 1), (0.0005, 0.0001, 4), (0.3, 0.2, 1000), (60, 30, 1)]:
        observations.note(exchange(seconds=seconds, queued=queued, rows=rows))
    metrics = scraped(observations)

    def buckets(name, labels='model="a",route="predict",version="2"'):
        found = {}
        for key, value in metrics.items():
            if key.startswith(f"slipway_serving_{name}_bucket") and labels in key:
                found[re.search(r'le="([^"]+)"', key)[1]] = value
        return found

    seconds = buckets("request_seconds")
    assert [seconds[le] for le in ("5e-05", "0.0002", "0.0005", "0.2", "0.5", "10.0", "+Inf")] == [
        1,
        1,
        2,
        2,
        3,
        3,
        4,
    ]
    queued = buckets("queue_seconds")
    assert [queued[le] for le in ("5e-05", "0.0001", "0.1", "0.2", "10.0", "+Inf")] == [1, 2, 2, 3, 3, 4]
    rows = buckets("request_rows")
    assert [rows[le] for le in ("1.0", "4.0", "256.0", "1024.0", "+Inf")] == [2, 3, 3, 4, 4]
    labels = '{model="a",route="predict",version="2"}'
    assert metrics[f"slipway_serving_request_seconds_sum{labels}"] == pytest.approx(60.30053)
    assert metrics[f"slipway_serving_request_seconds_count{labels}"] == 4
    assert metrics[f"slipway_serving_request_rows_sum{labels}"] == 1006


def test_batches_say_how_many_requests_and_rows_ran_together(observations):
    observations.batch(MODEL, 3, 12, 0.004)
    observations.batch(MODEL, 1, 1, 0.0)
    metrics = scraped(observations)
    labels = '{model="a",version="2"}'
    assert metrics[f"slipway_serving_batch_requests_sum{labels}"] == 4
    assert metrics[f"slipway_serving_batch_rows_sum{labels}"] == 13
    assert metrics[f"slipway_serving_batch_wait_seconds_count{labels}"] == 2
    assert metrics['slipway_serving_batch_rows_bucket{le="4.0",model="a",version="2"}'] == 1


def test_comparisons_with_a_shadow_and_failures_to_load_are_counted(observations):
    observations.compared("a", "2", "3", "different")
    observations.load_failed(Target("a", "4", 0))
    observations.refused("revoked_key")
    metrics = scraped(observations)
    labels = 'model="a",outcome="different",shadow_version="3",version="2"'
    assert metrics[f"slipway_serving_shadow_comparisons_total{{{labels}}}"] == 1
    assert metrics['slipway_serving_load_failures_total{model="a",version="4"}'] == 1
    assert metrics['slipway_serving_refused_total{reason="revoked_key"}'] == 1


def test_noting_a_request_costs_microseconds(observations):
    """The bound is five times what it should be: other tests may run beside this one."""
    noted = exchange()
    best = min(timeit.repeat(lambda: observations.note(noted), number=2000, repeat=7)) / 2000
    assert best < 25e-6
