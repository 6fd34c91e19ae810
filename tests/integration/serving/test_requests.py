"""What a caller may send and what not: answers equal the model's own, and no mistake ends in a 500."""

import concurrent.futures
import time

import mlflow
import pandas as pd
import pytest

JSON = {"content-type": "application/json"}
ROW = {"Coord_X": 1.0, "Coord_Y": 2.0}


@pytest.fixture(scope="module")
def serving(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="1", mixed="1", tensor="1", fragile="1", slow="1")
    server = start_serving(
        tmp_path_factory.mktemp("serving"),
        SERVING_DEFAULT_MODEL="red-blue",
        SERVING_MAX_BODY_BYTES="2000000",
        SERVING_MAX_PENDING="8",
        SERVING_WORKERS="2",
    )
    yield server
    server.stop()


def error(answer):
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) in ({"error"}, {"error", "error_code", "message"})
    assert set(body["error"]) == {"code", "message", "field"}
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return body["error"]


def test_answers_equal_the_models_own_over_every_point(serving, registry, helpers):
    native = mlflow.sklearn.load_model("models:/red-blue/1").predict(helpers.points)
    answer = serving.post("/predict", {"inputs": helpers.points.to_dict("records")}).json()
    assert answer["predictions"] == list(native)
    assert (answer["predictions"] == helpers.colours).mean() > 0.95


@pytest.mark.parametrize(
    ("content", "media"),
    [
        (lambda frame: {"dataframe_split": frame.to_dict("split")}, None),
        (lambda frame: {"dataframe_records": frame.to_dict("records")}, None),
        (lambda frame: {"instances": frame.to_dict("records")}, None),
        (lambda frame: {"inputs": frame.to_dict("list")}, None),
        (lambda frame: frame.to_csv(index=False), "text/csv"),
    ],
    ids=["dataframe_split", "dataframe_records", "instances", "inputs", "csv"],
)
def test_every_form_of_the_scoring_protocol_gives_the_models_own_answers(
    serving, registry, helpers, content, media
):
    frame = helpers.points.head(50)
    expected = list(mlflow.sklearn.load_model("models:/red-blue/1").predict(frame))
    body = content(frame)
    sent = (
        serving.post("/invocations", content=body, headers={"content-type": media})
        if media
        else serving.post("/models/red-blue/invocations", body)
    )
    assert sent.json() == {"predictions": expected}


def test_mixed_columns_missing_values_included_give_the_models_own_answers(serving, registry):
    rows = [
        {"shop": "north", "age": 30, "income": None, "member": True},
        {"shop": "south", "age": 60, "income": 41_000.5, "member": False},
    ]
    frame = pd.DataFrame(rows).astype({"income": float})
    expected = mlflow.sklearn.load_model("models:/mixed/1").predict(frame)
    assert serving.post("/models/mixed/predict", {"inputs": rows}).json()["predictions"] == list(expected)


def test_a_model_of_tensors_takes_lists(serving):
    answer = serving.post("/models/tensor/predict", {"inputs": [[1.0, 2.0], [3.0, 4.0]]})
    assert answer.json()["predictions"] == pytest.approx([1.0, 3.0])
    wrong = serving.post("/models/tensor/predict", {"inputs": [[1.0, 2.0, 3.0]]})
    assert (wrong.status_code, error(wrong)["code"]) == (422, "invalid_input")


def test_a_table_as_answer_becomes_rows_and_params_reach_the_model(serving):
    body = {"inputs": [ROW], "params": {"times": 5}}
    answer = serving.post("/models/fragile/predict", body)
    assert answer.json()["predictions"] == [{"double": 10.0, "missing": None}]
    wrong = serving.post("/models/fragile/predict", {**body, "params": {"tiems": 5}})
    assert (wrong.status_code, error(wrong)["field"]) == (422, "params.tiems")
    wrong = serving.post("/models/fragile/predict", {**body, "params": {"times": "many"}})
    assert (wrong.status_code, error(wrong)["code"]) == (422, "wrong_type")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/predict", b"", 400, "not_json", None),
        ("/predict", b"hello", 400, "not_json", None),
        ("/predict", b'{"inputs":[{"Coord_X":NaN,"Coord_Y":1}]}', 400, "not_json", None),
        ("/predict", b"\xff\xfe", 400, "not_json", None),
        ("/predict", b"[1]", 400, "not_an_object", None),
        ("/predict", b"{}", 422, "missing_field", "inputs"),
        ("/predict", b'{"rows":[]}', 422, "missing_field", "inputs"),
        ("/predict", b'{"inputs":[]}', 422, "empty_inputs", "inputs"),
        ("/predict", b'{"inputs":null}', 422, "wrong_type", "inputs"),
        ("/predict", b'{"inputs":[null]}', 422, "wrong_type", "inputs[0]"),
        ("/predict", b'{"inputs":[[1,2]]}', 422, "wrong_type", "inputs[0]"),
        ("/predict", b'{"inputs":[{"Coord_X":1}]}', 422, "missing_column", "inputs[0].Coord_Y"),
        ("/predict", b'{"inputs":{"Coord_X":1,"Coord_Y":"b"}}', 422, "wrong_type", "inputs[0].Coord_Y"),
        ("/predict", b'{"inputs":{"Coord_X":1,"Coord_Y":null}}', 422, "missing_value", "inputs[0].Coord_Y"),
        ("/predict", b'{"inputs":{"Coord_X":1,"Coord_Y":2,"Z":3}}', 422, "unknown_column", "inputs[0].Z"),
        (
            "/invocations",
            b'{"dataframe_split":{"columns":["Coord_X"],"data":[[1]]}}',
            400,
            "missing_column",
            None,
        ),
        ("/invocations", b'{"instances":{"Coord_X":[1],"Coord_Y":[]}}', 400, "invalid_input", "instances"),
        ("/models/mixed/predict", b'{"inputs":[{"shop":"west"}]}', 422, "missing_column", "inputs[0].age"),
        ("/models/nope/predict", b"{}", 404, "unknown_model", "name"),
        ("/models/..%2f/predict", b"{}", 404, None, None),
        ("/predictions", b"{}", 404, "not_found", None),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(serving, path, body, status, code, field):
    answer = serving.post(path, content=body, headers=JSON)
    assert answer.status_code == status, answer.text
    told = error(answer)
    assert code in (None, told["code"])
    assert field in (None, told["field"])
    if code == "unknown_model":
        assert "red-blue" in told["message"]


def test_an_input_that_fits_the_signature_but_not_the_model_is_the_callers_error(serving):
    rows = [{"shop": "west", "age": 30, "income": 1.0, "member": True}]
    answer = serving.post("/models/mixed/predict", {"inputs": rows})
    assert (answer.status_code, error(answer)["code"]) == (422, "model_rejected_input")
    assert "west" in error(answer)["message"]
    answer = serving.post("/models/fragile/predict", {"inputs": [{"Coord_X": 101, "Coord_Y": 1}]})
    assert (answer.status_code, error(answer)["code"]) == (422, "model_rejected_input")


def test_too_many_rows_and_too_many_bytes_are_refused_announced_or_not(serving):
    rows = [{"Coord_X": 1, "Coord_Y": 2}] * 10_001
    answer = serving.post("/predict", {"inputs": rows})
    assert (answer.status_code, error(answer)["code"]) == (413, "too_many_rows")
    big = b" " * 2_000_001
    answer = serving.post("/predict", content=big, headers=JSON)
    assert (answer.status_code, error(answer)["code"]) == (413, "body_too_large")
    chunks = (big[start : start + 65536] for start in range(0, len(big), 65536))
    answer = serving.post("/predict", content=chunks, headers=JSON)
    assert (answer.status_code, error(answer)["code"]) == (413, "body_too_large")


def test_other_methods_media_and_encodings_are_refused(serving):
    assert error(serving.get("/predict"))["code"] == "method_not_allowed"
    answer = serving.post("/invocations", content=b"x", headers={"content-type": "text/plain"})
    assert (answer.status_code, error(answer)["field"]) == (415, "Content-Type")
    answer = serving.post("/predict", content=b"x", headers={"content-encoding": "br"})
    assert (answer.status_code, error(answer)["field"]) == (415, "Content-Encoding")
    answer = serving.post("/predict", content=b"x", headers={"content-encoding": "gzip"})
    assert (answer.status_code, error(answer)["code"]) == (400, "not_gzip")


def test_answers_do_not_mix_under_concurrency(serving, registry, helpers):
    native = mlflow.sklearn.load_model("models:/red-blue/1").predict(helpers.points)
    rows = helpers.points.to_dict("records")

    def ask(i):
        count = 1 + i % 7
        while (answer := serving.post("/predict", {"inputs": rows[i : i + count]})).status_code == 503:
            time.sleep(0.02)
        return answer.json()["predictions"] == list(native[i : i + count])

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(390)))


def test_a_busy_server_refuses_early_and_goes_on_answering_about_itself(serving):
    def ask(_):
        return serving.post("/models/slow/predict", {"inputs": ROW})

    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(ask, i) for i in range(24)]
        time.sleep(0.3)
        assert serving.get("/health").json() == {"status": "ok"}
        assert not all(one.done() for one in asked)  # it did not wait for them
        answers = [one.result() for one in asked]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert len(refused) < len(answers)
    for answer in refused:
        assert (answer.status_code, error(answer)["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "1"


def test_metrics_count_by_model_version_route_and_outcome_and_never_by_what_a_caller_wrote(serving, helpers):
    prepared = 'slipway_serving_model_live{model="red-blue",runtime="neighbours",version="1"} 1.0'
    helpers.eventually(lambda: prepared in serving.get("/metrics").text, what="preparation")
    serving.post("/predict", {"inputs": ROW})
    serving.post("/models/made-up-name/predict", {"inputs": ROW})
    text = serving.get("/metrics").text
    assert 'slipway_serving_requests_total{model="red-blue",outcome="ok",route="predict",version="1"}' in text
    assert (
        'slipway_serving_request_seconds_bucket{le="0.05",model="red-blue",route="predict",version="1"}'
        in text
    )
    assert "process_resident_memory_bytes" in text
    assert "made-up-name" not in text


def test_the_log_is_json_lines_and_quiet_about_requests(serving):
    import json

    lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
    assert {"time", "level", "logger", "message"} <= set(lines[0])
    assert not [line for line in lines if "POST /predict" in line["message"]]
