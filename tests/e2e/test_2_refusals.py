"""What the platform refuses, and that it says why."""

from __future__ import annotations

import pytest

from tests.support.processes import eventually

WAYS = ("docker", "embedded")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/hub/metrics",
        "/mlflow/metrics",
        "/serving/metrics",
        "/auth/verify",
        "/auth/internal/keys",
        "/mlflow/ajax-api/3.0/mlflow/assistant/config",
        "/mlflow/ajax-api/3.0/mlflow/assistant/sessions/1/stream",
        "/mlflow/api/3.0/mlflow/server-info",
        "/mlflow/api/2.0/mlflow-artifacts/presigned/any/thing",
        "/mlflow/ajax-api/2.0/mlflow/artifacts/presigned-download-url",
        "/no-such-page",
    ],
)
def test_what_is_not_for_the_outside_is_not_there(platform, path):
    assert platform.get(path).status_code == 404


def test_mlflow_asks_a_browser_to_log_in_and_tells_a_program(platform):
    browser = platform.get("/mlflow/", headers={"Accept": "text/html", "Sec-Fetch-Mode": "navigate"})
    assert browser.status_code == 302
    assert browser.headers["location"].startswith("/hub/api/oauth2/authorize")
    program = platform.post("/mlflow/api/2.0/mlflow/experiments/search", json={"max_results": 1})
    assert program.status_code == 401
    assert program.json()["error_code"] == "UNAUTHENTICATED"


def test_a_name_in_a_header_opens_nothing(platform):
    spoofed = platform.post(
        "/mlflow/api/2.0/mlflow/experiments/search",
        json={"max_results": 1},
        headers={"X-Remote-User": "admin", "X-Remote-Admin": "1"},
    )
    assert spoofed.status_code == 401
    assert platform.get("/portal/state.json", headers={"X-Remote-User": "admin"}).status_code == 401
    assert platform.get("/serving/models", headers={"X-Remote-User": "admin"}).status_code == 401


def test_a_wrong_token_opens_nothing(platform):
    answer = platform.get(
        "/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/serving/predict", "/serving/models/red-blue/predict", "/serving/models/red-blue/invocations"]
)
def test_a_body_that_is_not_json_is_refused_with_the_reason(application, path):
    answer = application.post(path, content=b"{not json", headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert "JSON" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("inputs", "field"),
    [
        ([{"Coord_X": 1.0}], "Coord_Y"),
        ([{"Coord_X": 1.0, "Coord_Y": None}], "Coord_Y"),
        ([{"Coord_X": "far", "Coord_Y": 1.0}], "Coord_X"),
        ([{"Coord_X": 1.0, "Coord_Y": 1.0, "Coord_Z": 1.0}], "Coord_Z"),
        ([], "inputs"),
    ],
)
def test_a_wrong_point_is_refused_with_the_field(application, inputs, field):
    answer = application.post("/serving/models/red-blue/predict", json={"inputs": inputs})
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert field in f"{error['field']} {error['message']}"


def test_a_model_that_does_not_exist_is_named_with_those_that_do(application):
    answer = application.post(
        "/serving/models/green/predict", json={"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]}
    )
    assert answer.status_code == 404
    assert "green" in answer.json()["error"]["message"]
    assert "red-blue" in answer.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused(application):
    answer = application.post("/serving/models/red-blue/predict", content=b" " * (17 * 1024 * 1024))
    assert answer.status_code == 413


def test_a_prediction_needs_a_key_and_says_how_to_get_one(platform):
    answer = platform.post("/serving/predict", json={"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]})
    assert answer.status_code == 401
    forged = platform.post(
        "/serving/predict",
        json={"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]},
        headers={"Authorization": "Bearer slipway_eyJhbGciOiJub25lIn0.e30."},
    )
    assert forged.status_code == 401
    assert "key" in forged.json()["error"]["message"]


def test_a_key_is_for_its_models_alone_and_ends_when_it_is_revoked(platform, administrator):
    application = administrator.application("elsewhere", "another-model")
    point = {"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]}
    refused = application.post("/serving/models/red-blue/predict", json=point)
    assert refused.status_code == 403
    assert "red-blue" in refused.json()["error"]["message"]
    (made,) = [
        one for one in administrator.http.get("/auth/keys").json()["keys"] if one["name"] == "elsewhere"
    ]
    assert administrator.http.delete(f"/auth/keys/{made['id']}").status_code in (200, 204)

    def refused_for_good() -> bool:
        answer = application.post("/serving/models/red-blue/predict", json=point)
        return answer.status_code == 401 and "revoked" in answer.json()["error"]["message"]

    assert eventually(refused_for_good, 10)
