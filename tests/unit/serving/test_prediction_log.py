"""The log of predictions: what is in its files, and that it neither holds up answers nor fills the memory."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.dataset as datasets
import pytest
from slipway_serving.identity import application
from slipway_serving.observations import Exchange
from slipway_serving.prediction_files import Folder
from slipway_serving.prediction_log import PredictionLog
from slipway_serving.registry import Target
from slipway_serving.table import Table

SHOP = application("shop", "k1", ["a"])


class Store:
    """A destination that can be away, or hang."""

    def __init__(self):
        self.files, self.up, self.open = [], True, threading.Event()
        self.open.set()

    def write(self, model, version, date, content):
        self.open.wait(30)
        if not self.up:
            raise OSError("connection refused")
        self.files.append((model, version, date, content))


def exchange(data, predictions, name="a", version="1", rows=None):
    model = SimpleNamespace(target=Target(name, version, 0))
    count = len(data) if rows is None else rows
    return Exchange(model, "predict", "production", "ok", 200, count, 0.001, 0.0, SHOP, data, predictions)


def one_row(x=1.0):
    return exchange(Table(["x"], matrix=np.array([[x]])), ["Red"])


def read(folder):
    return datasets.dataset(folder, format="parquet", partitioning="hive").to_table().to_pylist()


def test_files_have_a_row_for_each_prediction_with_its_inputs(tmp_path):
    log = PredictionLog(Folder(tmp_path), 1, now=lambda: 1_700_000_000.5)
    table = Table(
        ["age", "shop", "income", "left out"],
        [np.array([30, 41]), np.array(["north", np.nan], dtype=object), np.array([1.5, np.nan]), None],
    )
    log.keep(exchange(table, ["Red", "Blue"]), "request-1")
    log.keep(exchange(table, np.array(["Blue", "Blue"]), version="12"), "request-2")
    log.flush()
    rows = sorted(read(tmp_path), key=lambda row: (row["request_id"], row["row"]))
    assert rows[0].pop("time").isoformat() == "2023-11-14T22:13:20.500000+00:00"
    assert rows[0] == {
        "request_id": "request-1",
        "row": 0,
        "by": "production",
        "route": "predict",
        "caller_kind": "application",
        "caller": "shop",
        "input_age": 30,
        "input_shop": "north",
        "input_income": 1.5,
        "input_left out": None,
        "prediction": "Red",
        "model": "a",
        "version": 1,
        "date": "2023-11-14",
    }
    assert [(row["version"], row["row"], row["input_shop"], row["prediction"]) for row in rows[1:]] == [
        (1, 1, None, "Blue"),
        (12, 0, "north", "Blue"),
        (12, 1, None, "Blue"),
    ]
    assert rows[1]["input_income"] is None
    assert (log.written, log.waiting, dict(log.dropped)) == (4, 0, {})


@pytest.mark.parametrize(
    ("data", "predictions", "first"),
    [
        (np.zeros((2, 2)), np.array([1.0, 2.0]), {"input": "[0.0,0.0]", "prediction": 1.0}),
        (
            pd.DataFrame({"a": [[1], [2]]}),
            [[0.5, 0.5], [1, 0]],
            {"input": '{"a":[1]}', "prediction": [0.5, 0.5]},
        ),
        (
            [{"b": 1}, {"b": 2}],
            [{"p": 1, "q": None}, {"p": 2}],
            {"input": '{"b":1}', "prediction_p": 1, "prediction_q": None},
        ),
        ([1, 2], [1, "two"], {"input": "1", "prediction": "1"}),
        ({"whole": 1}, {"total": 7}, {"input": '{"whole":1}', "prediction": '{"total":7}'}),
    ],
)
def test_what_is_no_table_of_plain_columns_is_kept_too(tmp_path, data, predictions, first):
    log = PredictionLog(Folder(tmp_path), 1)
    log.keep(exchange(data, predictions, rows=2), "r")
    log.flush()
    rows = sorted(read(tmp_path), key=lambda row: row["row"])
    assert len(rows) == 2
    assert {key: rows[0][key] for key in rows[0] if key.startswith(("input", "prediction"))} == first


def test_many_requests_make_few_files_and_a_strange_name_stays_within_the_folder(tmp_path):
    log = PredictionLog(Folder(tmp_path / "log"), 1, rows_per_second=10_000)
    for i in range(300):
        log.keep(exchange(Table(["x"], matrix=np.array([[float(i)]])), [i], name="../b=c"), str(i))
    log.flush()
    (file,) = (tmp_path / "log").rglob("*.parquet")
    assert len(list(tmp_path.iterdir())) == 1
    assert sorted(row["prediction"] for row in read(tmp_path / "log")) == list(range(300))
    assert file.relative_to(tmp_path / "log").parts[:2] == ("model=..%2Fb%3Dc", "version=1")


def test_a_share_is_kept():
    draws = iter([0.0, 0.3, 0.09, 0.1, 0.99])
    log = PredictionLog(Store(), 0.1, draw=lambda: next(draws))
    for _ in range(5):
        log.keep(one_row(), "r")
    assert log.waiting == 2


def test_a_store_that_is_away_costs_no_memory_and_gets_the_oldest_later():
    store = Store()
    log = PredictionLog(store, 1, max_rows=10, rows_per_second=1e9)
    store.up = False
    for i in range(25):
        log.keep(one_row(i), str(i))
        log.flush()
    assert (log.waiting, dict(log.dropped), log.written) == (10, {"full": 15}, 0)
    assert log.error == "OSError: connection refused"
    store.up = True
    log.flush()
    assert (log.waiting, log.written, log.error, len(store.files)) == (0, 10, None, 1)
    log.keep(one_row(), "again")
    assert log.waiting == 1


def test_memory_is_bounded_in_bytes_too():
    log = PredictionLog(Store(), 1, max_bytes=1_000_000, rows_per_second=1e9)
    text = np.array(["x" * 10_000] * 10, dtype=object)
    for _ in range(100):
        log.keep(exchange(Table(["text"], [text]), ["Red"] * 10), "r")
    assert 50 <= log.waiting <= 100
    assert log.dropped["full"] == 1000 - log.waiting


def test_the_rate_is_bounded_and_recovers():
    clock = [100.0]
    log = PredictionLog(Store(), 1, rows_per_second=5, now=lambda: clock[0])
    for _ in range(8):
        log.keep(one_row(), "r")
    assert (log.waiting, log.dropped["rate"]) == (5, 3)
    clock[0] += 0.3
    for _ in range(8):
        log.keep(one_row(), "r")
    assert (log.waiting, log.dropped["rate"]) == (7, 9)


def test_what_cannot_be_written_is_dropped_and_the_rest_goes_on(monkeypatch):
    store = Store()
    log = PredictionLog(store, 1)
    broken = exchange(SimpleNamespace(), ["Red"], name="broken", rows=1)
    broken.caller = SimpleNamespace(kind=object(), name="x")
    log.keep(broken, "r")
    log.keep(one_row(), "r")
    log.flush()
    assert (dict(log.dropped), log.written, log.waiting) == ({"unwritable": 1}, 1, 0)


def test_a_store_that_hangs_delays_neither_a_request_nor_the_end(monkeypatch):
    monkeypatch.setattr("slipway_serving.prediction_log.STOP_SECONDS", 0.3)
    store = Store()
    store.open.clear()
    log = PredictionLog(store, 1, flush_seconds=0.01, rows_per_second=1e9, max_rows=1000)
    log.start()
    slowest = 0.0
    for i in range(3000):
        began = time.perf_counter()
        log.keep(one_row(i), "r")
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 5  # it hangs for thirty
    assert log.dropped["full"] >= 2000
    began = time.monotonic()
    log.stop()
    assert time.monotonic() - began < 5
    store.open.set()


def test_what_waits_is_written_when_the_server_stops(tmp_path):
    log = PredictionLog(Folder(tmp_path), 1, flush_seconds=600)
    log.start()
    log.keep(one_row(), "last")
    log.stop()
    assert [row["request_id"] for row in read(tmp_path)] == ["last"]
