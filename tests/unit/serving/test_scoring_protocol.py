"""MLflow's scoring protocol, case by case beside MLflow's own server: same answers, same kind of errors."""

import io
import warnings
from types import SimpleNamespace

import mlflow
import numpy as np
import orjson
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import scoring_server
from mlflow.types.schema import Array, ColSpec, DataType, Object, ParamSchema, ParamSpec, Property, Schema
from slipway_serving.answers import answer_invocation
from slipway_serving.errors import Refused
from slipway_serving.model import load_model
from slipway_serving.refusals import mlflow as as_mlflow
from slipway_serving.registry import Target

JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
FRAME = pd.DataFrame({"x": [1.5, 2.0], "n": [1, 2], "s": ["007", "b"], "on": [True, False]})
RECORDS = FRAME.to_dict("records")


class Echo(mlflow.pyfunc.PythonModel):
    """Answers with what it was given, so that every difference in reading shows."""

    def predict(self, context, model_input, params=None):
        if isinstance(model_input, pd.DataFrame):
            times = (params or {}).get("times", 1)
            return model_input.assign(times=times)
        return model_input


class Broken(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if len(model_input) > 1:
            raise RuntimeError("only one row, please")
        return np.zeros(len(model_input))


class Sum(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return np.asarray(model_input).sum(axis=1)


MESSAGE = Object([Property("role", DataType.string), Property("content", DataType.string)])
CHAT = Schema([ColSpec(Array(MESSAGE), "messages"), ColSpec(DataType.long, "top", required=False)])
TIMES = ParamSchema([ParamSpec("times", DataType.long, 1)])
ECHO_SIGNATURE = ModelSignature(
    inputs=infer_signature(FRAME).inputs, outputs=infer_signature(FRAME).inputs, params=TIMES
)
KINDS = {
    "echo": (Echo(), ECHO_SIGNATURE, FRAME),
    "free": (Echo(), None, None),
    "broken": (Broken(), infer_signature(FRAME[["x"]], np.zeros(2)), FRAME[["x"]].head(1)),
    "tensor": (Sum(), infer_signature(np.ones((2, 3)), np.ones(2)), np.ones((2, 3))),
    "chat": (Echo(), ModelSignature(inputs=CHAT, params=TIMES), None),
}


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """both(kind) -> MLflow's server and our model, of the same files."""
    made = {}

    def get(kind):
        if kind not in made:
            folder = tmp_path_factory.mktemp("protocol") / kind
            python_model, signature, example = KINDS[kind]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                mlflow.pyfunc.save_model(
                    folder, python_model=python_model, signature=signature, input_example=example
                )
                peer = TestClient(scoring_server.init(mlflow.pyfunc.load_model(str(folder))))
                own = load_model(folder, Target(kind, "1", 1), 100, prepare_seconds=0)
            made[kind] = SimpleNamespace(peer=peer, own=own)
        return made[kind]

    return get


def ask(own, body, media):
    """(status, document) as they are sent."""
    try:
        answer = answer_invocation(own, body, media)
    except Refused as error:
        told = as_mlflow(error)
        return told.status, orjson.loads(told.body)
    return 200, orjson.loads(answer.body)


def parquet(frame):
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return sink.getvalue()


def as_json(document):
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


SAME = [
    ("echo", as_json({"dataframe_split": FRAME.to_dict("split")}), JSON),
    ("echo", as_json({"dataframe_split": {"columns": list(FRAME), "data": FRAME.values.tolist()}}), JSON),
    ("echo", as_json({"dataframe_records": RECORDS}), JSON),
    ("echo", as_json({"dataframe_records": [dict(reversed(row.items())) for row in RECORDS]}), JSON),
    ("echo", as_json({"instances": RECORDS}), JSON),
    ("echo", as_json({"instances": FRAME.to_dict("list")}), JSON),
    ("echo", as_json({"inputs": RECORDS}), JSON),
    ("echo", as_json({"inputs": FRAME.to_dict("list")}), JSON),
    ("echo", as_json({"inputs": RECORDS[0]}), JSON),
    ("echo", as_json({"inputs": RECORDS, "params": {"times": 3}}), JSON),
    ("echo", as_json({"inputs": RECORDS, "params": {"times": 3, "other": 1}}), JSON),
    ("echo", as_json({"inputs": RECORDS, "params": None}), JSON),
    ("echo", as_json({"dataframe_records": [{**row, "more": 1} for row in RECORDS]}), JSON),
    ("echo", as_json({"inputs": RECORDS, "anything": 1}), JSON),
    ("echo", as_json({"inputs": RECORDS}), "application/json; charset=utf-8"),
    ("echo", as_json({"inputs": RECORDS}), "application/json;charset=UTF-8"),
    ("echo", FRAME.to_csv(index=False).encode(), "text/csv"),
    ("echo", FRAME.to_csv(index=False).encode(), "text/csv; charset=utf-8"),
    ("echo", parquet(FRAME), PARQUET),
    ("free", as_json({"dataframe_split": FRAME.to_dict("split")}), JSON),
    ("free", as_json({"dataframe_records": RECORDS}), JSON),
    ("free", as_json({"inputs": [[1, 2], [3, 4]]}), JSON),
    ("tensor", as_json({"inputs": [[1, 2, 3]]}), JSON),
    ("tensor", as_json({"instances": [[1, 2, 3], [4, 5, 6]]}), JSON),
    ("chat", as_json({"messages": [{"role": "user", "content": "hi"}]}), JSON),
    ("chat", as_json({"messages": [{"role": "user", "content": "hi"}], "top": 3, "times": 2}), JSON),
]


@pytest.mark.parametrize(("kind", "body", "media"), SAME, ids=map(str, range(len(SAME))))
def test_the_answer_is_that_of_mlflows_own_server(both, kind, body, media):
    one = both(kind)
    peer = one.peer.post("/invocations", content=body, headers={"content-type": media})
    assert peer.status_code == 200, peer.text
    status, document = ask(one.own, body, media)
    assert (status, document) == (200, peer.json())


REFUSED = [
    ("echo", b"", JSON),
    ("echo", b"{", JSON),
    ("echo", b"\xff\xfe", JSON),
    ("echo", b"[1]", JSON),
    ("echo", b"5", JSON),
    ("echo", b"{}", JSON),
    ("echo", as_json({"inputs": RECORDS, "instances": RECORDS}), JSON),
    ("echo", as_json({"columns": list(FRAME), "data": []}), JSON),
    ("echo", as_json({"dataframe_split": [1]}), JSON),
    ("echo", as_json({"dataframe_split": {"columns": ["x"]}}), JSON),
    ("echo", as_json({"dataframe_split": {"columns": ["x"], "data": [[1, 2]]}}), JSON),
    ("echo", as_json({"dataframe_split": {**FRAME.to_dict("split"), "more": 1}}), JSON),
    ("echo", as_json({"dataframe_records": {"x": 1}}), JSON),
    ("echo", as_json({"dataframe_records": [{"x": 1.5}]}), JSON),
    ("echo", as_json({"dataframe_records": [{**RECORDS[0], "x": "text"}]}), JSON),
    ("echo", as_json({"instances": {**FRAME.to_dict("list"), "x": [1.0]}}), JSON),
    ("echo", as_json({"inputs": RECORDS, "params": {"times": "many"}}), JSON),
    ("echo", as_json({"inputs": RECORDS, "params": [1]}), JSON),
    ("echo", b"x,n\n1,2\n", "text/csv"),
    ("echo", b"\xff\xfe", "text/csv"),
    ("echo", b"", "text/csv"),
    ("echo", b"no parquet", PARQUET),
    ("echo", b"{}", "text/plain"),
    ("echo", b"{}", "application/json; charset=latin-1"),
    ("echo", b"{}", "application/json; version=2"),
    ("tensor", as_json({"inputs": [[1, 2]]}), JSON),
    ("tensor", as_json({"inputs": [["a", "b", "c"]]}), JSON),
    ("broken", as_json({"inputs": [{"x": 1.0}, {"x": 2.0}]}), JSON),
    ("chat", as_json({"messages": "hi"}), JSON),
]


@pytest.mark.parametrize(("kind", "body", "media"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_mlflows_own_server_refuses_is_refused_with_its_status_and_shape(both, kind, body, media):
    one = both(kind)
    peer = one.peer.post("/invocations", content=body, headers={"content-type": media})
    status, document = ask(one.own, body, media)
    assert status == peer.status_code
    assert {"error_code", "message"} <= set(document)
    assert "Traceback" not in str(document)
    if peer.headers["content-type"] == JSON:
        # MLflow tells most of them as one or the other, both of which its clients read as a wrong input.
        assert peer.json()["error_code"] in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE")
    assert document["error_code"] == "BAD_REQUEST"
    assert document["error"]["message"] == document["message"]


def test_where_mlflow_cuts_a_number_or_gives_up_on_a_table_without_names_serving_does_neither(both):
    one = both("echo")
    cut = as_json({"dataframe_records": [{**RECORDS[0], "n": 1.5}]})
    assert one.peer.post("/invocations", content=cut, headers={"content-type": JSON}).status_code == 200
    assert ask(one.own, cut, JSON)[1]["error"]["field"] == "dataframe_records[0].n"
    unnamed = as_json({"dataframe_split": {"data": FRAME.values.tolist()}})
    assert one.peer.post("/invocations", content=unnamed, headers={"content-type": JSON}).status_code == 400
    assert len(ask(one.own, unnamed, JSON)[1]["predictions"]) == 2


def test_probabilities_among_the_params_are_for_serving_unless_the_model_has_such_a_param():
    from slipway_serving.scoring import parse_invocation

    plain = SimpleNamespace(inputs=SimpleNamespace(from_tensors=lambda *given: given), params_schema=None)
    body = as_json({"inputs": [1], "params": {"probabilities": True}})
    question = parse_invocation(body, JSON, plain)
    assert (question.probabilities, question.params) == (True, None)
    own = SimpleNamespace(
        inputs=plain.inputs, params_schema=ParamSchema([ParamSpec("probabilities", DataType.boolean, False)])
    )
    question = parse_invocation(body, JSON, own)
    assert (question.probabilities, question.params) == (False, {"probabilities": True})
    with pytest.raises(Refused) as caught:
        parse_invocation(as_json({"inputs": [1], "params": {"probabilities": "yes"}}), JSON, plain)
    assert caught.value.field == "params.probabilities"
