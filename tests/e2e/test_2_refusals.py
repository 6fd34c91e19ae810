"""What the platform refuses, and that it says why."""

from __future__ import annotations

import pytest

WAYS = ("docker", "embedded")


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/hub/metrics",
        "/mlflow/metrics",
        "/serving/metrics",
        "/auth/verify",
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


def test_a_wrong_token_opens_nothing(platform):
    answer = platform.get(
        "/mlflow/api/2.0/mlflow/experiments/get?experiment_id=0", headers={"Authorization": "Bearer x"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/serving/predict", "/serving/models/red-blue/predict", "/serving/models/red-blue/invocations"]
)
def test_a_body_that_is_not_json_is_refused_with_the_reason(platform, path):
    answer = platform.post(path, content=b"{not json", headers={"Content-Type": "application/json"})
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
def test_a_wrong_point_is_refused_with_the_field(platform, inputs, field):
    answer = platform.post("/serving/models/red-blue/predict", json={"inputs": inputs})
    assert 400 <= answer.status_code < 500, answer.text
    error = answer.json()["error"]
    assert field in f"{error['field']} {error['message']}"


def test_a_model_that_does_not_exist_is_named_with_those_that_do(platform):
    answer = platform.post(
        "/serving/models/green/predict", json={"inputs": [{"Coord_X": 1.0, "Coord_Y": 1.0}]}
    )
    assert answer.status_code == 404
    assert "green" in answer.json()["error"]["message"]
    assert "red-blue" in answer.json()["error"]["message"]


def test_a_body_that_is_too_large_is_refused(platform):
    answer = platform.post("/serving/models/red-blue/predict", content=b" " * (17 * 1024 * 1024))
    assert answer.status_code == 413
