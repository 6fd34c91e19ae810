"""What is open and what is closed, whatever MLflow's permissions say."""

from __future__ import annotations

import pytest
from slipway_mlflow.identity import THE_READER, Caller
from slipway_mlflow.routes import is_flasks, is_open, name_of, why_closed

ALICE, ROOT = Caller("alice"), Caller("root", admin=True)


@pytest.fixture(autouse=True)
def prefix(monkeypatch):
    monkeypatch.setenv("MLFLOW_STATIC_PREFIX", "/mlflow")


@pytest.mark.parametrize("path", ["/mlflow/health", "/health", "/mlflow/static-files/static/js/main.js"])
def test_open_for_everybody(path):
    assert is_open(path)


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/",
        "/mlflow/healthy",
        "/mlflow/health/../api",
        "/metrics",
        "/mlflow/api/2.0/mlflow/runs/get",
        "/staticx",
    ],
)
def test_not_open(path):
    assert not is_open(path)


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/ajax-api/2.0/mlflow/runs/get",
        "/mlflow/api/2.0/mlflow/runs/get/",
        "/mlflow/api/3.0/mlflow/runs/get",
        "/api/2.0/mlflow/runs/get",
    ],
)
def test_a_route_has_one_name(path):
    assert name_of(path) == "/mlflow/runs/get"


@pytest.mark.parametrize("who", [ALICE, ROOT])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/mlflow/signup"),
        ("POST", "/mlflow/api/2.0/mlflow/users/create"),
        ("POST", "/mlflow/ajax-api/2.0/mlflow/users/create/"),
        ("PATCH", "/mlflow/api/2.0/mlflow/users/update-password"),
        ("PATCH", "/mlflow/ajax-api/2.0/mlflow/users/update-admin"),
        ("GET", "/mlflow/ajax-api/3.0/mlflow/assistant/config"),
        ("POST", "/mlflow/ajax-api/3.0/mlflow/assistant/message"),
    ],
)
def test_closed_for_administrators_too(who, method, path):
    assert why_closed(method, path, who)


def test_for_administrators_alone():
    for path in (
        "/mlflow/ajax-api/3.0/jobs",
        "/mlflow/ajax-api/3.0/jobs/",
        "/mlflow/ajax-api/3.0/mlflow/demo/generate",
    ):
        assert why_closed("POST", path, ALICE)
        assert why_closed("POST", path, ROOT) is None


def test_everything_else_is_for_mlflow_to_decide():
    assert why_closed("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", ALICE) is None
    assert why_closed("GET", "/mlflow/ajax-api/3.0/jobs/x", ALICE) is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/mlflow/api/2.0/mlflow/registered-models/search", True),
        ("POST", "/mlflow/api/2.0/mlflow/experiments/search", True),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/x", True),
        ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/x", False),
        ("POST", "/mlflow/api/2.0/mlflow/runs/log-batch", False),
        ("POST", "/mlflow/graphql", False),
        ("GET", "/mlflow/ajax-api/2.0/mlflow/gateway-proxy", False),
        ("GET", "/mlflow/gateway/mlflow/v1/models", False),
        ("OPTIONS", "/mlflow/api/2.0/mlflow/runs/log-batch", False),
    ],
)
def test_the_reader_reads(method, path, allowed):
    assert (why_closed(method, path, THE_READER) is None) == allowed


def test_only_what_is_flasks_goes_there_straight():
    assert is_flasks("/mlflow/api/2.0/mlflow/runs/log-batch")
    for path in (
        "/mlflow/api/3.0/mlflow/mcp-servers",
        "/mlflow/v1/traces",
        "/mlflow/gateway/x",
        "/mlflow/ajax-api/3.0/jobs",
    ):
        assert not is_flasks(path)
