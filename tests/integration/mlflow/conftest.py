"""The tracking server in both ways it is run, shared by the tests of rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.mlflow.tracking_support import Person, as_, make_secrets, settings, start
from tests.support.postgres import PASSWORD, running_postgres
from tests.support.processes import Processes


@pytest.fixture(scope="session", params=["sqlite, one process", "postgres, two workers"])
def tracking(request, tmp_path_factory) -> Iterator[str]:
    """The base URL of a server that all tests of rights share, in both ways it is run."""
    folder = tmp_path_factory.mktemp("tracking")
    environment = settings(folder, make_secrets(folder / "secrets"))
    processes = Processes(folder)
    if request.param.startswith("sqlite"):
        environment |= {"MLFLOW_ONE_PROCESS": "1", "MLFLOW_EXPOSE_PROMETHEUS": ""}
        yield start(processes, environment, migrate=False)
        processes.stop_all()
        return
    with running_postgres("mlflow") as postgres:
        address = f"postgresql+psycopg2://mlflow:{PASSWORD}@127.0.0.1:{postgres.port}"
        environment |= {
            "BACKEND_STORE_URI": f"{address}/postgres",
            "AUTH_DATABASE_URI": f"{address}/template1",
            "MLFLOW_WORKERS": "2",
        }
        yield start(processes, environment)
        processes.stop_all()


@pytest.fixture
def person(tracking) -> Callable[..., Person]:
    return lambda name, **more: Person(tracking, as_(name, **more))


@pytest.fixture
def gateway(monkeypatch) -> Callable[[str], None]:
    """MLflow's own client in this process, with the headers that the gateway would add for a person."""
    from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider
    from mlflow.tracking.request_header.registry import _request_header_provider_registry as registry

    said: dict[str, str] = {}

    class Gateway(RequestHeaderProvider):
        def in_context(self) -> bool:
            return True

        def request_headers(self) -> dict[str, str]:
            return said

    monkeypatch.setattr(registry, "_registry", [*registry._registry, Gateway()])
    return lambda name, **more: said.update(as_(name, **more))
