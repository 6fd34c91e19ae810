"""The last hour in minutes, and the pictures made of it."""

import random
import xml.etree.ElementTree as ElementTree

import pytest
from slipway_serving.history import History, Minute, percentile
from slipway_serving.pages import pictures
from slipway_serving.tallies import FINE, SECONDS, SLOTS, coarse, latency_slot


class Clock:
    def __init__(self, minute=1000):
        self.minute = minute

    def __call__(self):
        return self.minute * 60 + 17.5


def test_an_hour_has_sixty_minutes_quiet_ones_included_and_what_is_older_is_gone():
    clock = Clock()
    history = History(clock)
    for minute in (1000, 1030, 1061):
        clock.minute = minute
        for status in (200, 200, 422, 503):
            history.add("a", status, latency_slot(0.001))
    hour = history.last_hour("a")
    assert [minute.at for minute in hour] == list(range(1002, 1062))
    busy = {minute.at: (minute.answered, minute.refused, minute.failed) for minute in hour if minute.answered}
    assert busy == {1030: (2, 1, 1), 1061: (2, 1, 1)}
    clock.minute = 5000
    assert not any(minute.answered for minute in history.last_hour("a"))
    assert not any(minute.answered for minute in history.last_hour("never asked"))


def test_percentiles_are_told_within_a_slot():
    random.seed(1)
    seconds = [random.lognormvariate(-7, 1) for _ in range(10_000)]
    counts = [0] * SLOTS
    for one in seconds:
        counts[latency_slot(one)] += 1
    for share in (0.5, 0.9, 0.99):
        exact = sorted(seconds)[int(share * len(seconds))]
        assert percentile(counts, share) == pytest.approx(exact, rel=0.1)
    assert percentile([0] * SLOTS, 0.5) is None
    counts = [0] * SLOTS
    counts[latency_slot(99)] = 1
    assert percentile(counts, 0.5) == SECONDS[-1], "beyond the largest bound it is at least that"


def test_fine_and_coarse_bounds_are_the_same_where_both_have_one():
    assert set(SECONDS) <= set(FINE)
    for seconds in (*SECONDS, 1e-6, 0.00007, 0.0031, 4.999, 11):
        counts = [0] * SLOTS
        counts[latency_slot(seconds)] = 1
        expected = sum(bound < seconds for bound in SECONDS)
        assert coarse(counts).index(1) == expected


def hour(**busy):
    minutes = [Minute(at) for at in range(1000, 1060)]
    for i, (answered, refused, failed, seconds) in busy.items():
        minute = minutes[int(i.removeprefix("m"))]
        minute.answered, minute.refused, minute.failed = answered, refused, failed
        minute.seconds[latency_slot(seconds)] = answered
    return minutes


def test_the_picture_of_traffic_has_a_bar_for_each_kind_and_a_sentence():
    picture = pictures.traffic(hour(m3=(40, 2, 1, 0.001), m59=(10, 0, 0, 0.001)))
    bars = [one.get("class") for one in ElementTree.fromstring(picture.svg).iter("rect")]
    assert bars == ["answered", "refused", "failed", "answered"]
    assert picture.words == (
        "53 requests in the last hour: 50 answered, 2 refused, 1 failed; 43 in the busiest minute."
    )
    assert not picture.empty


def test_the_picture_of_latency_breaks_where_nobody_asked():
    picture = pictures.latency(hour(m3=(1, 0, 0, 0.001), m4=(9, 0, 0, 0.002), m50=(5, 0, 0, 0.15)))
    lines = [one.get("class") for one in ElementTree.fromstring(picture.svg).iter("polyline")]
    assert lines == ["median", "median", "slowest", "slowest"]
    assert picture.words == (
        "In the last hour half of the answers took less than 1.9 ms, 99 % less than 167 ms."
    )


def test_an_hour_without_a_request_is_still_a_picture():
    for picture in (pictures.traffic(hour()), pictures.latency(hour())):
        ElementTree.fromstring(picture.svg)
        assert picture.empty


@pytest.mark.parametrize("answered", [1, 3, 7, 99, 100, 101, 12_345, 10**7])
def test_no_bar_is_taller_than_the_picture(answered):
    picture = ElementTree.fromstring(pictures.traffic(hour(m1=(answered, 0, 0, 1))).svg)
    for bar in picture.iter("rect"):
        assert float(bar.get("y")) >= pictures.TOP - 0.1
        assert float(bar.get("y")) + float(bar.get("height")) <= pictures.HEIGHT - pictures.BOTTOM + 0.1
