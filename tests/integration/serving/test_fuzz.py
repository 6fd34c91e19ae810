"""Every route of serving's own OpenAPI, with whatever fits it and whatever does not: no 500, no answer that
OpenAPI does not have.
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CHECKS, load_all_checks

load_all_checks()
EXAMPLES = int(os.environ.get("SLIPWAY_FUZZ_EXAMPLES", "10"))
LOOKED_AT = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


@pytest.fixture(scope="module")
def serving(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="2", mixed="1", tensor="1")
    server = start_serving(
        tmp_path_factory.mktemp("fuzz"),
        SERVING_DEFAULT_MODEL="red-blue",
        SERVING_PREPARE_SECONDS="0",
        # What is sent at random may take long, but never this long.
        SERVING_REQUEST_SECONDS="20",
    )
    yield server
    server.stop()


@pytest.fixture(scope="module")
def operations(serving):
    schema = schemathesis.openapi.from_dict(serving.get("/openapi.json").json())
    schema.config.update(base_url=serving.url)
    found = [result.ok() for result in schema.get_all_operations()]
    assert len(found) > 40
    return found


def test_every_route_answers_as_its_openapi_says(serving, operations, helpers):
    for operation in operations:
        _try(operation, helpers.person)
    assert '"level":"error"' not in serving.log.read_text()
    assert serving.get("/ready").status_code == 200


def _try(operation, person):
    # What has no body has nothing that could be wrong but its path.
    modes = list(schemathesis.GenerationMode) if operation.body else [schemathesis.GenerationMode.POSITIVE]

    def checked(case):
        case.call_and_validate(headers=person, checks=LOOKED_AT, timeout=30)

    for mode in modes:
        settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(given(case=operation.as_strategy(mode))(checked))()
