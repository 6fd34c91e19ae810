"""What is closed from outside stays closed however its address is written."""

from __future__ import annotations

import pytest

CLOSED = (
    "/auth/verify",
    "/auth/health",
    "/auth/internal",
    "/auth/internal/keys",
    "/metrics",
    "/hub/metrics",
    "/hub/api/metrics",
    "/user/ann/metrics",
    "/mlflow/metrics",
    "/serving/metrics",
    "/auth/metrics",
    "/mlflow/ajax-api/3.0/mlflow/assistant/config",
    "/mlflow/api/3.0/mlflow/assistant",
    "/mlflow/api/3.0/mlflow/server-info",
    "/mlflow/ajax-api/2.0/mlflow-artifacts/presigned/x",
    "/mlflow/api/2.0/mlflow-artifacts/mpu/create/x",
    "/mlflow/ajax-api/2.0/mlflow/artifacts/presigned-download-url",
)


def spellings(path: str) -> set[str]:
    first, last = path.split("/")[1], path.rsplit("/", 1)[1]
    return {
        path,
        f"{path}?x=1",
        f"/{path}",
        path.replace(f"/{first}", f"/{first}/", 1),
        path.replace("/", "//"),
        path.replace(f"/{first}", f"/./{first}/.", 1),
        path.replace(f"/{first}", f"/{first}/x/..", 1),
        path.replace(f"/{first}", f"/hub/../{first}", 1),
        path.replace(f"/{first}", f"/serving/%2e%2e/{first}", 1),
        path.replace(f"/{last}", f"/%{ord(last[0]):02x}{last[1:]}"),
        path.replace(f"/{last}", f"/%{ord(last[0]):02X}{last[1:]}"),
        path.replace("/", "%2f").replace("%2f", "/", 1),
        f"/%{ord(first[0]):02x}{path[2:]}",
        f"http://slipway.example.org{path}",
    }


@pytest.mark.parametrize("path", CLOSED)
def test_it_is_closed_however_it_is_written(gateway, path):
    credentials = ((), ("Authorization: Bearer ann",), ("Authorization: Bearer slipway_key",))
    for spelling in sorted(spellings(path)):
        for headers in credentials:
            for method in ("GET", "POST"):
                answer = gateway.raw(spelling, *headers, method=method)
                reached = answer.reached()
                # The portal has nothing of the kind, and the door-keeper was only asked.
                harmless = not reached or reached["by"] == "portal" or answer.status_code == 401
                assert harmless, f"{method} {spelling} reached {reached['by']} as {reached['path']}"


@pytest.mark.parametrize("path", ["/auth/internal/keys", "/auth/verify"])
def test_it_is_closed_to_notebooks_too(gateway, path):
    assert gateway.raw(path, at=gateway.notebooks_port).status_code == 404
