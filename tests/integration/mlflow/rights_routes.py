"""Every route of MLflow by what it does. A route that is in none of these tables fails the test that reads
them: look at it, then put it where it belongs.

A route is written without its prefixes and versions: `/mlflow/ajax-api/2.0/mlflow/runs/get` is
`/mlflow/runs/get`.
In the requests, `{run_id}` and the like are of rights_world.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Write(NamedTuple):
    """A request that would change what is alice's."""

    body: dict[str, Any] | str | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    path: str = ""
    """In place of the route's own placeholders."""
    tried: bool = True
    """By who may do it, who then succeeds; if not, the reason is beside it."""


EXPERIMENT, RUN, MODEL = {"experiment_id": "{experiment_id}"}, {"run_id": "{run_id}"}, {"name": "{name}"}
VERSION = {**MODEL, "version": "1"}
TAG = {"key": "k", "value": "v"}
ONE_TRACE = {"experiment_id": "{experiment_id}", "request_ids": ["{trace_id}"]}
ARTIFACT = "{experiment_id}/{run_id}/artifacts/file.txt"
LOGGED_MODEL_FILE = "{experiment_id}/models/{model_id}/artifacts/file.txt"
ENDPOINT = {"endpoint_id": "{endpoint_id}"}
BINDING = {**ENDPOINT, "resource_type": "scorer", "resource_id": "x"}
MAPPING = {"model_definition_id": "{model_definition_id}", "linkage_type": "FALLBACK", "fallback_order": 1}
QUEUE = {"queue_id": "{queue_id}"}
DATASET = {"dataset_id": "{dataset_id}"}
ASSESSMENT = {
    "assessment_name": "good",
    "trace_id": "{trace_id}",
    "source": {"source_type": "HUMAN", "source_id": "x"},
    "create_time": "{now}",
    "last_update_time": "{now}",
    "feedback": {"value": False},
}
GRANT = {"username": "bob", "resource_type": "experiment", "resource_id": "{experiment_id}"}
NO_JOBS = NO_MULTIPART = NO_PRESIGNED = False
"""Jobs are off; artifacts in a folder have neither of the two, unlike those in S3."""

# In an order in which the maker can do them one after the other; what deletes comes last.
WRITES: dict[str, Write | list[Write]] = {
    "POST /mlflow/experiments/update": Write({**EXPERIMENT, "new_name": "renamed {tag}"}),
    "POST /mlflow/experiments/set-experiment-tag": Write({**EXPERIMENT, **TAG}),
    "POST /mlflow/experiments/delete-experiment-tag": Write({**EXPERIMENT, "key": "k"}),
    "POST /mlflow/runs/create": Write(EXPERIMENT),
    "POST /mlflow/runs/update": Write({**RUN, "run_name": "renamed"}),
    "POST /mlflow/runs/log-metric": Write({**RUN, "key": "m", "value": 1, "timestamp": 1}),
    "POST /mlflow/runs/log-batch": Write({**RUN, "tags": [TAG]}),
    "POST /mlflow/runs/log-parameter": Write({**RUN, **TAG}),
    "POST /mlflow/runs/log-inputs": Write(
        {
            **RUN,
            "datasets": [{"dataset": {"name": "d", "digest": "1", "source_type": "code", "source": "{{}}"}}],
        }
    ),
    "POST /mlflow/runs/log-model": Write(
        {
            **RUN,
            "model_json": '{{"artifact_path": "m", "run_id": "{run_id}", "flavors": {{}},'
            ' "utc_time_created": "x", "model_uuid": "u"}}',
        }
    ),
    "POST /mlflow/runs/outputs": Write({**RUN, "models": [{"model_id": "{model_id}", "step": 1}]}),
    "POST /mlflow/runs/set-tag": Write({**RUN, **TAG}),
    "POST /mlflow/runs/delete-tag": Write({**RUN, "key": "k"}),
    "POST /mlflow/runs/create-promptlab-run": Write(
        {
            **EXPERIMENT,
            "prompt_template": "t",
            "prompt_parameters": [TAG],
            "model_route": "r",
            "model_input": "i",
            "model_output": "o",
            "mlflow_version": "3",
        }
    ),
    "POST /mlflow/upload-artifact": Write("text", path="?run_uuid={run_id}&path=a.txt"),
    "POST /mlflow/artifacts/presigned-upload-url": Write({**RUN, "path": "a.txt"}, tried=NO_PRESIGNED),
    "PUT /mlflow-artifacts/artifacts/{artifact_path}": [
        Write("text", path=ARTIFACT),
        Write("text", path=LOGGED_MODEL_FILE),
    ],
    "DELETE /mlflow-artifacts/artifacts/{artifact_path}": Write(path=ARTIFACT),
    "POST /mlflow-artifacts/mpu/create/{artifact_path}": Write(
        {"path": "file.txt", "num_parts": 1}, path=ARTIFACT, tried=NO_MULTIPART
    ),
    "POST /mlflow-artifacts/mpu/complete/{artifact_path}": Write(
        {"path": "file.txt", "upload_id": "u", "parts": []}, path=ARTIFACT, tried=NO_MULTIPART
    ),
    "POST /mlflow-artifacts/mpu/abort/{artifact_path}": Write(
        {"path": "file.txt", "upload_id": "u"}, path=ARTIFACT, tried=NO_MULTIPART
    ),
    "POST /mlflow/logged-models": Write({**EXPERIMENT, "name": "n"}),
    "PATCH /mlflow/logged-models/{model_id}": Write(
        {"model_id": "{model_id}", "status": "LOGGED_MODEL_READY"}
    ),
    "POST /mlflow/logged-models/{model_id}/params": Write({"model_id": "{model_id}", "params": [TAG]}),
    "PATCH /mlflow/logged-models/{model_id}/tags": Write({"model_id": "{model_id}", "tags": [TAG]}),
    "DELETE /mlflow/logged-models/{model_id}/tags/{tag_key}": Write(path="{model_id}/tags/k"),
    "PATCH /mlflow/registered-models/update": Write({**MODEL, "description": "d"}),
    "POST /mlflow/registered-models/set-tag": Write({**MODEL, **TAG}),
    "DELETE /mlflow/registered-models/delete-tag": Write({**MODEL, "key": "k"}),
    "POST /mlflow/model-versions/create": Write({**MODEL, "source": "{source}", "run_id": "{run_id}"}),
    "PATCH /mlflow/model-versions/update": Write({**VERSION, "description": "d"}),
    "POST /mlflow/model-versions/set-tag": Write({**VERSION, **TAG}),
    "DELETE /mlflow/model-versions/delete-tag": Write({**VERSION, "key": "k"}),
    "POST /mlflow/model-versions/transition-stage": Write(
        {**VERSION, "stage": "Production", "archive_existing_versions": True}
    ),
    "POST /mlflow/registered-models/alias": Write({**VERSION, "alias": "production"}),
    "DELETE /mlflow/registered-models/alias": Write({**MODEL, "alias": "production"}),
    "POST /mlflow/traces": [
        # Of version 2 and of version 3 at once.
        Write(
            {
                **EXPERIMENT,
                "timestamp_ms": 1,
                "trace": {
                    "trace_info": {
                        "trace_id": "tr-new-{tag}",
                        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": EXPERIMENT},
                        "request_time": "{now}",
                        "state": "OK",
                    }
                },
            }
        ),
    ],
    "PATCH /mlflow/traces/{request_id}": Write(
        {"request_id": "{trace_id}", "timestamp_ms": 1, "status": "OK"}
    ),
    "PATCH /mlflow/traces/{request_id}/tags": Write(TAG),
    "DELETE /mlflow/traces/{request_id}/tags": Write({"key": "k"}),
    "PATCH /mlflow/traces/{trace_id}/tags": Write(TAG),
    "DELETE /mlflow/traces/{trace_id}/tags": Write({"key": "k"}),
    "POST /mlflow/traces/link-prompts": Write(
        {"trace_id": "{trace_id}", "prompt_versions": [{"name": "p", "version": "1"}]}
    ),
    "POST /mlflow/traces/link-to-run": Write({**RUN, "trace_ids": ["{trace_id}"]}),
    "POST /v1/traces": Write(
        "",
        headers={"X-Mlflow-Experiment-Id": "{experiment_id}", "Content-Type": "application/x-protobuf"},
        tried=False,
    ),  # needs spans
    "POST /mlflow/traces/{trace_id}/assessments": Write({"assessment": ASSESSMENT}),
    "PATCH /mlflow/traces/{trace_id}/assessments/{assessment_id}": Write(
        {"assessment": {**ASSESSMENT, "assessment_id": "{assessment_id}"}, "update_mask": "rationale"}
    ),
    "DELETE /mlflow/traces/{trace_id}/assessments/{assessment_id}": Write({}),
    "POST /mlflow/datasets/create": Write({"name": "other-{tag}", "experiment_ids": ["{experiment_id}"]}),
    "PATCH /mlflow/datasets/{dataset_id}/tags": Write({**DATASET, "tags": '{{"k": "v"}}'}),
    "DELETE /mlflow/datasets/{dataset_id}/tags/{key}": Write(path="{dataset_id}/tags/k"),
    "POST /mlflow/datasets/{dataset_id}/records": Write({**DATASET, "records": "[]"}),
    "DELETE /mlflow/datasets/{dataset_id}/records": Write({**DATASET, "dataset_record_ids": ["x"]}),
    "POST /mlflow/datasets/{dataset_id}/add-experiments": Write(
        {**DATASET, "experiment_ids": ["{experiment_id}"]}
    ),
    "POST /mlflow/datasets/{dataset_id}/remove-experiments": Write({**DATASET, "experiment_ids": ["0"]}),
    "POST /mlflow/issues": Write({**EXPERIMENT, "name": "j", "description": "d", "status": "pending"}),
    "PATCH /mlflow/issues/{issue_id}": Write({"issue_id": "{issue_id}", "name": "k"}),
    "POST /mlflow/issues/invoke": Write(
        {**EXPERIMENT, "trace_ids": ["{trace_id}"], "categories": ["x"], "provider": "openai", "model": "m"},
        tried=NO_JOBS,
    ),
    "POST /mlflow/genai/evaluate/invoke": Write(
        {**EXPERIMENT, "trace_ids": ["{trace_id}"], "serialized_scorers": ["{{}}"]}, tried=NO_JOBS
    ),
    "POST /mlflow/scorer/invoke": Write(
        {**EXPERIMENT, "serialized_scorer": "{{}}", "trace_ids": ["{trace_id}"], "log_assessments": True},
        tried=NO_JOBS,
    ),
    "POST /mlflow/label-schemas/create": Write(
        {**EXPERIMENT, "name": "r", "type": "FEEDBACK", "input": {"text": {}}}
    ),
    "PATCH /mlflow/label-schemas/update": Write({"schema_id": "{schema_id}", "instruction": "x"}),
    "POST /mlflow/review-queues/create": Write({**EXPERIMENT, "name": "q2", "queue_type": "CUSTOM"}),
    "POST /mlflow/review-queues/get-or-create-user": Write({**EXPERIMENT, "user": "alice"}),
    "POST /mlflow/review-queues/update": Write({**QUEUE, "update_users": True, "users": ["alice"]}),
    "POST /mlflow/review-queues/items/add": Write(
        {**QUEUE, "item_type": "TRACE", "item_ids": ["{trace_id}"]}
    ),
    "POST /mlflow/review-queues/items/set-status": Write(
        {**QUEUE, "item_id": "{trace_id}", "status": "COMPLETE"}
    ),
    "POST /mlflow/review-queues/items/remove": Write({**QUEUE, "item_ids": ["{trace_id}"]}),
    "POST /mlflow/scorers/register": Write({**EXPERIMENT, "name": "s2", "serialized_scorer": "{scorer}"}),
    "PUT /mlflow/scorers/online-config": Write(
        {**EXPERIMENT, "name": "s", "sample_rate": 0.5}, tried=False
    ),  # wants a model behind the scorer
    "POST /mlflow/prompt-optimization/jobs": Write(
        {**EXPERIMENT, "source_prompt_uri": "prompts:/{name}/1", "config": {}}, tried=NO_JOBS
    ),
    "POST /mlflow/gateway/secrets/update": Write(
        {"secret_id": "{secret_id}", "secret_value": {"api_key": "other"}}
    ),
    "POST /mlflow/gateway/model-definitions/update": Write(
        {"model_definition_id": "{model_definition_id}", "model_name": "m2"}
    ),
    "POST /mlflow/gateway/endpoints/update": Write({**ENDPOINT, "name": "endpoint-{tag}"}),
    "POST /mlflow/gateway/endpoints/set-tag": Write({**ENDPOINT, **TAG}),
    "DELETE /mlflow/gateway/endpoints/delete-tag": Write({**ENDPOINT, "key": "k"}),
    "POST /mlflow/gateway/endpoints/bindings/create": Write(BINDING),
    "DELETE /mlflow/gateway/endpoints/bindings/delete": Write(BINDING),
    "POST /mlflow/gateway/endpoints/models/attach": Write(
        {**ENDPOINT, "model_config": MAPPING}, tried=False
    ),  # attached already
    "POST /mlflow/gateway/endpoints/models/detach": Write(
        {**ENDPOINT, "model_definition_id": "{model_definition_id}"}
    ),
    "POST /mlflow/gateway/guardrails/add-to-endpoint": Write(
        {**ENDPOINT, "guardrail_id": "g"}, tried=False
    ),  # an administrator makes guardrails
    "PATCH /mlflow/gateway/guardrails/update-config": Write(
        {**ENDPOINT, "guardrail_id": "g", "execution_order": 1}, tried=False
    ),
    "DELETE /mlflow/gateway/guardrails/remove-from-endpoint": Write(
        {**ENDPOINT, "guardrail_id": "g"}, tried=False
    ),
    "PATCH /mlflow/mcp-servers/{name}": Write({"description": "d"}, path="{server}"),
    "POST /mlflow/mcp-servers/{name}/tags": Write(TAG, path="{server}/tags"),
    "DELETE /mlflow/mcp-servers/{name}/tags/{key}": Write(path="{server}/tags/k"),
    "POST /mlflow/mcp-servers/{name}/versions": Write(
        {"server_json": {"name": "{server}", "version": "2.0.0"}}, path="{server}/versions"
    ),
    "PATCH /mlflow/mcp-servers/{name}/versions/{version}": Write(
        {"tools": []}, path="{server}/versions/1.0.0"
    ),
    "POST /mlflow/mcp-servers/{name}/versions/{version}/tags": Write(
        TAG, path="{server}/versions/1.0.0/tags"
    ),
    "DELETE /mlflow/mcp-servers/{name}/versions/{version}/tags/{key}": Write(
        path="{server}/versions/1.0.0/tags/k"
    ),
    "POST /mlflow/mcp-servers/{name}/aliases": Write(
        {"alias": "a", "version": "1.0.0"}, path="{server}/aliases"
    ),
    "DELETE /mlflow/mcp-servers/{name}/aliases/{alias}": Write(path="{server}/aliases/a"),
    "POST /mlflow/mcp-servers/{name}/endpoints": Write(
        {"url": "https://e.example/2", "server_version": "1.0.0"}, path="{server}/endpoints"
    ),
    "PATCH /mlflow/mcp-servers/{name}/endpoints/{endpoint_id}": Write(
        {"url": "https://e.example/3"}, path="{server}/endpoints/{access_id}"
    ),
    "DELETE /mlflow/mcp-servers/{name}/endpoints/{endpoint_id}": Write(path="{server}/endpoints/{access_id}"),
    "POST /mlflow/users/permissions/grant": Write({**GRANT, "permission": "READ"}),
    "POST /mlflow/users/permissions/revoke": Write(GRANT),
    # What deletes.
    "POST /mlflow/traces/delete-traces": Write(ONE_TRACE),
    "DELETE /mlflow/mcp-servers/{name}/versions/{version}": Write(path="{server}/versions/2.0.0"),
    "DELETE /mlflow/mcp-servers/{name}": Write(path="{server}", tried=False),  # has a version that is in use
    "DELETE /mlflow/gateway/endpoints/delete": Write(ENDPOINT),
    "DELETE /mlflow/gateway/model-definitions/delete": Write(
        {"model_definition_id": "{model_definition_id}"}
    ),
    "DELETE /mlflow/gateway/secrets/delete": Write({"secret_id": "{secret_id}"}),
    "DELETE /mlflow/scorers/delete": Write({**EXPERIMENT, "name": "s"}),
    "DELETE /mlflow/label-schemas/delete": Write({"schema_id": "{schema_id}"}),
    "POST /mlflow/review-queues/delete": Write(QUEUE),
    "DELETE /mlflow/datasets/{dataset_id}": Write(),
    "DELETE /mlflow/logged-models/{model_id}": Write(),
    "DELETE /mlflow/model-versions/delete": Write(VERSION),
    "POST /mlflow/registered-models/rename": Write(
        {**MODEL, "new_name": "{name}"}, tried=False
    ),  # its own name is taken
    "DELETE /mlflow/registered-models/delete": Write(MODEL),
    "POST /mlflow/runs/delete": Write(RUN),
    "POST /mlflow/runs/restore": Write(RUN),
    "POST /mlflow/experiments/delete": Write(EXPERIMENT),
    "POST /mlflow/experiments/restore": Write(EXPERIMENT),
}

# What only an administrator may do at all: alice gets 403 as well as bob.
ADMINISTRATORS: dict[str, Write] = {
    "POST /mlflow/webhooks": Write(
        {
            "name": "h",
            "url": "http://127.0.0.1:9/x",
            "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
        }
    ),
    "PATCH /mlflow/webhooks/{webhook_id}": Write({"webhook_id": "{webhook_id}", "description": "d"}),
    "POST /mlflow/webhooks/{webhook_id}/test": Write({"webhook_id": "{webhook_id}"}),
    "DELETE /mlflow/webhooks/{webhook_id}": Write(),
    "POST /mlflow/roles/create": Write({"name": "r2-{tag}", "workspace": "default"}),
    "PATCH /mlflow/roles/update": Write({"role_id": "{role_id}", "description": "d"}),
    "POST /mlflow/roles/assign": Write({"username": "bob", "role_id": "{role_id}"}),
    "DELETE /mlflow/roles/unassign": Write({"username": "bob", "role_id": "{role_id}"}),
    "POST /mlflow/roles/permissions/add": Write(
        {"role_id": "{role_id}", "resource_type": "experiment", "resource_pattern": "*", "permission": "READ"}
    ),
    "PATCH /mlflow/roles/permissions/update": Write(
        {"role_permission_id": "{role_permission_id}", "permission": "READ"}
    ),
    "DELETE /mlflow/roles/permissions/remove": Write({"role_permission_id": "{role_permission_id}"}),
    "DELETE /mlflow/roles/delete": Write({"role_id": "{role_id}"}),
    "POST /mlflow/gateway/budgets/create": Write(
        {
            "budget_unit": "USD",
            "budget_amount": 1,
            "duration": {"unit": "DAYS", "value": 1},
            "target_scope": "GLOBAL",
            "budget_action": "ALERT",
        }
    ),
    "POST /mlflow/gateway/budgets/update": Write({"budget_policy_id": "x", "budget_amount": 1}, tried=False),
    "DELETE /mlflow/gateway/budgets/delete": Write({"budget_policy_id": "x"}, tried=False),
    "POST /mlflow/gateway/guardrails/create": Write(
        {"name": "g", "scorer_id": "x", "scorer_version": 1, "stage": "BEFORE", "action": "VALIDATION"},
        tried=False,
    ),
    "DELETE /mlflow/gateway/guardrails/delete": Write({"guardrail_id": "x"}, tried=False),
    "POST /mlflow/workspaces": Write({"name": "w"}, tried=False),  # one workspace only
    "PATCH /mlflow/workspaces/{workspace_name}": Write({"description": "d"}, path="default", tried=False),
    "DELETE /mlflow/workspaces/{workspace_name}": Write(path="other", tried=False),
    "DELETE /mlflow/users/delete": Write({"username": "nobody-{tag}"}, tried=False),
    "POST /mlflow/demo/generate": Write({}, tried=False),  # writes for half a minute
    "POST /mlflow/demo/delete": Write({}, tried=False),
    "POST /jobs": Write({"job_name": "x", "params": {}}, tried=NO_JOBS),
    "PATCH /jobs/cancel/{job_id}": Write(path="x", tried=NO_JOBS),
    "PATCH /mlflow/jobs/cancel/{job_id}": Write(path="x", tried=NO_JOBS),
}

# For nobody, administrators included.
CLOSED = {
    "GET /signup",
    "POST /mlflow/users/create",
    "POST /mlflow/users/create-ui",
    "PATCH /mlflow/users/update-password",
    "PATCH /mlflow/users/update-admin",
}
CLOSED_BELOW = "/mlflow/assistant"

# Makes something that belongs to whoever makes it, or nothing that lasts.
ONES_OWN = {
    "POST /mlflow/experiments/create",
    "POST /mlflow/registered-models/create",
    "POST /mlflow/gateway/secrets/create",
    "POST /mlflow/gateway/model-definitions/create",  # asks for the right to use the secret
    "POST /mlflow/gateway/endpoints/create",  # asks for the right to use the definition
    "POST /mlflow/mcp-servers",
    "POST /mlflow/ui-telemetry",  # telemetry is off
}

# Asks a model's provider; with somebody else's endpoint it is refused. None of these keeps anything.
INVOCATIONS = re.compile(r"[A-Z]+ /gateway/(?!mlflow/v1/models$)")
# MLflow refuses or does not know these without jobs, whoever asks.
NEED_A_JOB = {
    "POST /mlflow/prompt-optimization/jobs/{job_id}/cancel",
    "DELETE /mlflow/prompt-optimization/jobs/{job_id}",
}

# Everything that is GET is a read, but for those above.
READS = {
    "POST /graphql",  # its mutations are searches and an echo
    "POST /jobs/search",
    "POST /mlflow/datasets/search",
    "POST /mlflow/experiments/search",
    "POST /mlflow/gateway-proxy",  # to a deployments server outside, and none is set
    "POST /mlflow/experiments/search-datasets",
    "POST /mlflow/issues/search",
    "POST /mlflow/logged-models/search",
    "POST /mlflow/prompt-optimization/jobs/search",
    "POST /mlflow/registered-models/get-latest-versions",
    "POST /mlflow/runs/search",
    "POST /mlflow/traces/batchGetInfos",
    "POST /mlflow/traces/calculate-filter-correlation",
    "POST /mlflow/traces/metrics",
    "POST /mlflow/traces/search",
    "POST /mlflow/artifacts/presigned-download-url",
    # Registered a second time by MLflow with a slash too few; only administrators get there.
    "POST /api/2.0mlflow/experiments/search-datasets",
    "POST /ajax-api/2.0mlflow/experiments/search-datasets",
}
