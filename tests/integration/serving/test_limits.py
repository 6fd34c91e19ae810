"""Who sends slowly, too much or too often harms nobody else, nor does a model that hangs; a server's end."""

import concurrent.futures
import gzip
import signal
import socket
import time

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

ROW = {"Coord_X": 1.0, "Coord_Y": 2.0}
PREDICT = "/models/red-blue/predict"
ARROW = "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def serving(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="2", slow="1")
    server = start_serving(
        tmp_path_factory.mktemp("limits"),
        SERVING_DEFAULT_MODEL="red-blue",
        SERVING_PREPARE_SECONDS="0",
        SERVING_MAX_BODY_BYTES="1000000",
        SERVING_MAX_PENDING_PER_CALLER="4",
        SERVING_BODY_SECONDS="1.5",
        SERVING_REQUEST_SECONDS="0.3",
        SERVING_WORKERS="1",
        SERVING_DRAIN_SECONDS="1",
    )
    yield server
    server.stop()


def code(answer):
    return answer.status_code, answer.json()["error"]["code"]


def head(person, length, path=PREDICT):
    lines = [f"POST {path} HTTP/1.1", "Host: serving", f"Content-Length: {length}"]
    lines += [f"{name}: {value}" for name, value in person.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def connected(serving):
    return socket.create_connection(("127.0.0.1", serving.port), timeout=20)


def test_slow_senders_are_cut_off_and_meanwhile_others_are_answered(serving, helpers):
    other = {**helpers.person, "X-Remote-User": "grace"}
    slow = [connected(serving) for _ in range(4)]
    for connection in slow:
        connection.sendall(head(helpers.person, 1000) + b'{"inputs"')
    time.sleep(0.3)
    # Their own caller has no more, another has all of it.
    refused = serving.post(PREDICT, {"inputs": ROW})
    assert code(refused) == (429, "too_many_requests")
    assert refused.headers["retry-after"] == "1"
    assert serving.post(PREDICT, {"inputs": ROW}, headers=other).status_code == 200
    for connection in slow:
        with connection.makefile("rb") as file:
            answer = file.read()  # until it is closed
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"body_too_slow" in answer
        connection.close()
    assert serving.post(PREDICT, {"inputs": ROW}).status_code == 200


def test_a_model_that_takes_too_long_takes_no_other_models_threads(serving, helpers):
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(serving.post, "/models/slow/predict", {"inputs": ROW}) for _ in range(3)]
        time.sleep(0.1)
        assert serving.post(PREDICT, {"inputs": ROW}).status_code == 200
        codes = {code(one.result()) for one in asked}
    assert codes == {(503, "timed_out"), (503, "model_stuck")} or codes == {(503, "timed_out")}
    helpers.eventually(
        lambda: (
            'slipway_serving_model_stuck_calls{model="slow",version="1"}' not in serving.get("/metrics").text
            or 'slipway_serving_model_stuck_calls{model="slow",version="1"} 0.0'
            in serving.get("/metrics").text
        ),
        what="recovery",
    )
    assert serving.get("/health").status_code == 200


def test_gzip_in_and_out_and_no_bomb(serving, helpers):
    rows = helpers.points.to_dict("records") * 20
    plain = serving.post(PREDICT, {"inputs": rows}, headers={"Accept-Encoding": "identity"})
    body = gzip.compress(plain.request.content)
    media = {"Content-Type": "application/json", "Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    packed = serving.post(PREDICT, content=body, headers=media)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert int(packed.headers["content-length"]) < len(plain.content) / 4
    assert packed.json() == plain.json()
    assert "content-encoding" not in plain.headers
    bomb = gzip.compress(b" " * 100_000_000)
    assert len(bomb) < 1_000_000
    assert code(serving.post(PREDICT, content=bomb, headers=media)) == (413, "body_too_large")


def test_arrow_in_and_out_by_every_protocol_that_has_it(serving, helpers):
    sink = pa.BufferOutputStream()
    table = pa.Table.from_pandas(helpers.points)
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    body = sink.getvalue().to_pybytes()
    expected = serving.post(PREDICT, {"inputs": helpers.points.to_dict("records")}).json()["predictions"]
    for path in (PREDICT, "/models/red-blue/invocations"):
        answer = serving.post(path, content=body, headers={"Content-Type": ARROW, "Accept": ARROW})
        assert answer.headers["content-type"] == ARROW
        assert answer.headers["x-slipway-model-version"] == "2"
        told = pa.ipc.open_stream(answer.content).read_all()
        assert told.column("predictions").to_pylist() == expected
        as_json = serving.post(path, content=body, headers={"Content-Type": ARROW})
        assert as_json.json()["predictions"] == expected


def test_probabilities_by_every_protocol(serving, registry, helpers):
    import mlflow

    frame = helpers.points.head(20)
    native = mlflow.sklearn.load_model("models:/red-blue/2")
    expected, rows = native.predict_proba(frame), frame.to_dict("records")
    tensors = [
        {"name": name, "shape": [20], "datatype": "FP64", "data": frame[name].tolist()} for name in frame
    ]
    own = serving.post(PREDICT, {"inputs": rows, "probabilities": True}).json()
    mlflows = serving.post("/invocations", {"inputs": rows, "params": {"probabilities": True}}).json()
    v2 = serving.post(
        "/v2/models/red-blue/infer", {"inputs": tensors, "parameters": {"probabilities": True}}
    ).json()
    assert own["classes"] == mlflows["classes"] == v2["outputs"][1]["data"] == list(native.classes_)
    for told in (own["predictions"], mlflows["predictions"]):
        np.testing.assert_allclose(told, expected, atol=1e-6)
    np.testing.assert_allclose(np.reshape(v2["outputs"][0]["data"], (20, 2)), expected, atol=1e-6)
    wrong = serving.post("/models/slow/predict", {"inputs": ROW, "probabilities": True})
    assert code(wrong) == (422, "no_probabilities")


def test_open_inference_health_metadata_and_errors(serving):
    assert httpx.get(serving.url + "/v2/health/live").json() == {"live": True}
    assert httpx.get(serving.url + "/v2/health/ready").json() == {"ready": True}
    assert httpx.get(serving.url + "/ping").status_code == 200
    assert serving.get("/version").text.count(".") == 2
    assert serving.get("/v2").json()["extensions"] == ["binary_tensor_data"]
    assert serving.get("/v2/models/red-blue").json() == {
        "name": "red-blue",
        "versions": ["2"],
        "platform": "mlflow_sklearn",
        "inputs": [
            {"name": "Coord_X", "datatype": "FP64", "shape": [-1]},
            {"name": "Coord_Y", "datatype": "FP64", "shape": [-1]},
        ],
        "outputs": [{"name": "predictions", "datatype": "BYTES", "shape": [-1]}],
    }
    assert serving.get("/v2/models/red-blue/versions/2/ready").json() == {"name": "red-blue", "ready": True}
    for answer in (
        serving.get("/v2/models/nope"),
        serving.get("/v2/models/red-blue/versions/77"),
        serving.get("/v2/models/red-blue/versions/77/ready"),
        serving.post("/v2/models/nope/infer", {}),
        serving.get("/v2/nothing"),
    ):
        assert answer.status_code == 404
        assert isinstance(answer.json()["error"], str)
    assert serving.get("/v2/models/red-blue/infer").status_code == 405
    assert isinstance(httpx.get(serving.url + "/v2").json()["error"], str)
    none = serving.post("/v2/models/red-blue/infer", {"inputs": []})
    assert (none.status_code, none.json()["field"]) == (400, "inputs")


def test_a_server_that_is_told_to_stop_says_so_first_and_finishes_what_it_has(registry, serve, helpers):
    registry.production(red_blue="2", slow="1")
    server = serve(SERVING_PREPARE_SECONDS="0", SERVING_DRAIN_SECONDS="2", SERVING_DEFAULT_MODEL="red-blue")
    with httpx.Client(base_url=server.url, headers=helpers.person) as client:
        assert "connection" not in client.post(PREDICT, json={"inputs": ROW}).headers
        server.process.send_signal(signal.SIGTERM)
        helpers.eventually(lambda: httpx.get(server.url + "/ready").status_code == 503, 3, "the word")
        assert httpx.get(server.url + "/ready").json()["status"] == "stopping"
        assert httpx.get(server.url + "/v2/health/ready").json() == {"ready": False}
        began = time.monotonic()
        while time.monotonic() - began < 1:
            answer = client.post(PREDICT, json={"inputs": ROW})
            assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        with concurrent.futures.ThreadPoolExecutor() as pool:
            late = pool.submit(client.post, "/models/slow/predict", json={"inputs": ROW}, timeout=20)
            time.sleep(0.1)
            server.process.wait(20)
            assert late.result().status_code == 200
    assert pd.notna(late.result().json()["predictions"][0]["double"])
