"""Logged predictions on a real S3 server, with a key that can only put: they arrive, and a store that is away
takes nothing from anybody."""

import time

import boto3
import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.processes import Processes
from tests.support.seaweedfs import KEYS, running_seaweedfs

POINT = {"inputs": [{"Coord_X": 9.0, "Coord_Y": 9.0}, {"Coord_X": -9.0, "Coord_Y": -9.0}]}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    processes = Processes(folder)
    with running_seaweedfs(processes, folder) as endpoint:
        root = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=KEYS["minio_root_user"],
            aws_secret_access_key=KEYS["minio_root_password"],
            region_name="us-east-1",
        )
        root.create_bucket(Bucket="predictions")
        root.endpoint = endpoint
        yield root
    processes.stop_all()


@pytest.fixture
def logging(registry, serve, tmp_path):
    """logging(endpoint, **environment) -> a server that logs every prediction there."""
    registry.production(red_blue="1")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("predictions_s3_access_key_id", "predictions_s3_secret_access_key"):
        (secrets / name).write_text(KEYS[name])

    def start(endpoint, **environment):
        return serve(
            SERVING_LOG_SHARE="1",
            SERVING_LOG_DESTINATION="s3://predictions/of/serving",
            SERVING_LOG_FLUSH_SECONDS="0.5",
            S3_ENDPOINT_URL=endpoint,
            **environment,
        )

    return start


def rows_in(store, prefix):
    rows = []
    for one in store.list_objects_v2(Bucket="predictions", Prefix=prefix).get("Contents", ()):
        content = store.get_object(Bucket="predictions", Key=one["Key"])["Body"].read()
        rows += pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def test_inputs_and_predictions_arrive_with_who_asked_and_by_which_request(store, logging, helpers):
    server = logging(store.endpoint)
    for i in range(5):
        answer = server.post("/predict", POINT, headers={"X-Request-Id": f"request-{i}"})
        assert answer.headers["x-request-id"] == f"request-{i}"
    assert server.post("/predict", {"inputs": []}).status_code == 422
    prefix = f"of/serving/model=red-blue/version=1/date={time.strftime('%Y-%m-%d', time.gmtime())}/"
    helpers.eventually(lambda: len(rows_in(store, prefix)) == 10, 20, "the log")
    row = next(one for one in rows_in(store, prefix) if (one["request_id"], one["row"]) == ("request-3", 1))
    assert (row["input_Coord_X"], row["input_Coord_Y"], row["prediction"]) == (-9.0, -9.0, "Blue")
    assert (row["caller_kind"], row["caller"], row["by"], row["route"]) == (
        "person",
        "ada",
        "production",
        "predict",
    )
    metrics = server.get("/metrics").text
    assert "slipway_serving_log_rows_written_total 10.0" in metrics
    assert "slipway_serving_log_up 1.0" in metrics
    server.post("/predict", POINT, headers={"X-Request-Id": "the-last"})
    server.stop()
    assert len([one for one in rows_in(store, prefix) if one["request_id"] == "the-last"]) == 2


def test_while_the_store_is_away_answers_go_on_and_what_is_dropped_is_counted(logging, helpers):
    server = logging("http://127.0.0.1:9", SERVING_LOG_ROWS_PER_SECOND="20")
    began = time.monotonic()
    with httpx.Client(base_url=server.url, headers=helpers.person) as client:
        assert all(client.post("/predict", json=POINT).status_code == 200 for _ in range(100))
    assert time.monotonic() - began < 10
    metrics = helpers.eventually(
        lambda: "slipway_serving_log_up 0.0" in (text := server.get("/metrics").text) and text,
        30,
        "the outage",
    )
    assert 'slipway_serving_log_rows_dropped_total{reason="rate"}' in metrics
    assert server.get("/ready").status_code == 200
    assert "predictions-secret" not in server.log.read_text()
