"""What the gateway tells browsers about each page, whatever the service behind it forgets."""

from __future__ import annotations

import pytest

PAGES = ("/", "/hub/home", "/user/ann/lab", "/auth/whoami", "/mlflow/", "/serving/models", "/serving/health")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_them(gateway, path):
    answer = gateway.get(path, Authorization="Bearer ann")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in answer.headers["permissions-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert not {"server", "via", "alt-svc", "strict-transport-security"} & set(answer.headers)


def test_errors_have_them_too(gateway):
    answer = gateway.get("/mlflow/hangs-up", Authorization="Bearer ann")
    assert answer.status_code == 502
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/", "/hub/own-policy", "/user/ann/own-policy", "/serving/own-policy"])
def test_a_service_that_has_a_policy_of_its_own_keeps_it(gateway, path):
    answer = gateway.get(f"{path}?policy", Authorization="Bearer ann")
    assert answer.headers.get_list("content-security-policy") == ["the service's own"]


def test_mlflows_pages_run_no_foreign_script_and_are_in_no_frame(gateway):
    answer = gateway.get("/mlflow/?policy", Authorization="Bearer ann")
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]
    assert answer.headers.get_list("x-frame-options") == ["DENY"]


@pytest.mark.parametrize(
    "path",
    [
        "/mlflow/get-artifact?path=page.html",
        "/mlflow/model-versions/get-artifact?path=page.html",
        "/mlflow/ajax-api/2.0/mlflow/get-trace-artifact",
        "/mlflow/ajax-api/3.0/mlflow/get-trace-artifact",
        "/mlflow/ajax-api/2.0/mlflow/logged-models/m-1/artifacts/files?artifact_file_path=page.html",
        "/mlflow/api/2.0/mlflow-artifacts/artifacts/1/page.html",
        "/mlflow/ajax-api/2.0/mlflow-artifacts/artifacts/1/page.html",
    ],
)
def test_a_stored_file_that_is_opened_as_a_page_runs_nothing(gateway, path):
    answer = gateway.get(path, Authorization="Bearer ann")
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy.startswith("sandbox;")
    assert answer.json()["by"] == "mlflow"
