"""Bodies into model inputs: the server's own form and every form of MLflow's protocol."""

from types import SimpleNamespace

import pandas as pd
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from slipway_serving.errors import Refused
from slipway_serving.schema import compile_inputs
from slipway_serving.scoring import parse_invocation, parse_predict

SCHEMA = Schema([ColSpec("double", "x"), ColSpec("string", "code"), ColSpec("boolean", "on")])
MODEL = SimpleNamespace(inputs=compile_inputs(ModelSignature(inputs=SCHEMA), 100), params_schema=None)
EXPECTED = pd.DataFrame({"x": [1.0, 2.5], "code": ["007", "b"], "on": [True, False]})


@pytest.mark.parametrize(
    "body",
    [
        '{"dataframe_split":{"columns":["on","x","code"],"data":[[true,1,"007"],[false,2.5,"b"]]}}',
        '{"dataframe_records":[{"x":1,"code":"007","on":true},{"x":2.5,"code":"b","on":false}]}',
        '{"instances":[{"x":1,"code":"007","on":true},{"x":2.5,"code":"b","on":false}]}',
        '{"inputs":[{"x":1,"code":"007","on":true},{"x":2.5,"code":"b","on":false}]}',
        '{"inputs":{"x":[1,2.5],"code":["007","b"],"on":[true,false]}}',
        '{"dataframe_split":{"data":[[1,"007",true],[2.5,"b",false]]}}',
    ],
)
def test_every_json_form_gives_the_same_table(body):
    question = parse_invocation(body.encode(), "application/json; charset=utf-8", MODEL)
    pd.testing.assert_frame_equal(question.data.frame(), EXPECTED, check_dtype=False)
    assert question.params is None


def test_csv_gives_the_same_table_and_text_stays_text():
    body = b"code,on,x,more\n007,True,1,?\nb,False,2.5,?\n"
    data = parse_invocation(body, "text/csv", MODEL).data
    pd.testing.assert_frame_equal(data.frame(), EXPECTED, check_dtype=False)


def test_the_cell_of_a_csv_that_is_wrong_is_the_one_that_is_named():
    with pytest.raises(Refused) as caught:
        parse_invocation(b"x,code,on\n1,a,True\nabc,b,False\n", "text/csv", MODEL)
    assert caught.value.field == "csv[1].x"


@pytest.mark.parametrize(
    ("body", "media", "code"),
    [
        (b"", "application/json", "not_json"),
        (b"{", "application/json", "not_json"),
        (b"\xff", "application/json", "not_json"),
        (b'{"inputs": [{"x": NaN}]}', "application/json", "not_json"),
        (b"[" * 5000, "application/json", "not_json"),
        (b"[]", "application/json", "not_an_object"),
        (b"{}", "application/json", "missing_field"),
        (b'{"inputs":[],"instances":[]}', "application/json", "missing_field"),
        (b'{"dataframe_split":5}', "application/json", "invalid_input"),
        (b'{"dataframe_split":{"columns":["x"]}}', "application/json", "invalid_input"),
        (b'{"dataframe_split":{"columns":["x"],"data":[[1,2]]}}', "application/json", "invalid_input"),
        (b'{"dataframe_records":{"x":1}}', "application/json", "invalid_input"),
        (b'{"dataframe_records":[1]}', "application/json", "wrong_type"),
        (b'{"inputs":5}', "application/json", "invalid_input"),
        (b'{"inputs":{"x":[1],"code":[],"on":[true]}}', "application/json", "invalid_input"),
        (b"", "text/csv", "not_csv"),
        (b"\xff\xfe", "text/csv", "not_csv"),
        (b"x,code,on\n", "text/csv", "empty_inputs"),
        (b"x,code\n1,a\n", "text/csv", "missing_column"),
        (b"x", "text/plain", "unsupported_media_type"),
        (b"{}", "application/json; charset=latin-1", "unsupported_media_type"),
    ],
)
def test_a_wrong_body_is_refused_in_words(body, media, code):
    with pytest.raises(Refused) as caught:
        parse_invocation(body, media, MODEL)
    assert caught.value.code == code


def test_the_own_form_says_which_field_it_does_not_know():
    with pytest.raises(Refused) as caught:
        parse_predict(b'{"inputs":[{"x":1,"code":"a","on":true}],"version":"3"}', "", MODEL)
    assert (caught.value.code, caught.value.field) == ("unknown_field", "version")
