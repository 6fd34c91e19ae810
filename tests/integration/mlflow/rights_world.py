"""One of everything that MLflow keeps, made by alice (or by an administrator where only they can)."""

from __future__ import annotations

import time

from tests.integration.mlflow.tracking_support import Person

V2, V3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
TEXT_SCORER = (
    '{"name": "s", "aggregations": [], "builtin_scorer_class": "Safety", '
    '"builtin_scorer_pydantic_data": {"name": "s"}}'
)


def build(alice: Person, root: Person, tag: str) -> dict[str, str]:
    """The ids by what they are called in MLflow's routes."""
    made: dict[str, str] = {"tag": tag}
    experiment = alice.post(f"{V2}/experiments/create", name=f"of alice {tag}")["experiment_id"]
    run = alice.post(f"{V2}/runs/create", experiment_id=experiment)["run"]["info"]
    name = f"model-{tag}"
    alice.post(f"{V2}/registered-models/create", name=name)
    source = f"{run['artifact_uri']}/model"
    alice.post(f"{V2}/model-versions/create", name=name, source=source, run_id=run["run_id"])
    alice.post(f"{V2}/registered-models/alias", name=name, alias="champion", version="1")
    model = alice.post(f"{V2}/logged-models", experiment_id=experiment, name="m")["model"]["info"]["model_id"]
    made |= {
        "experiment_id": experiment,
        "run_id": run["run_id"],
        "name": name,
        "source": source,
        "model_id": model,
    }
    made |= _genai(alice, experiment, tag)
    made |= _gateway(alice, root, experiment, tag)
    made |= _mcp(alice, tag)
    event = {"entity": "REGISTERED_MODEL", "action": "CREATED"}
    hook = root.post(f"{V2}/webhooks", name="hook", url="http://127.0.0.1:9/hook", events=[event])
    role = root.post(f"{V3}/roles/create", name=f"role-{tag}", workspace="default")["role"]
    permission = root.post(
        f"{V3}/roles/permissions/add",
        role_id=role["id"],
        resource_type="experiment",
        resource_pattern=experiment,
        permission="EDIT",
    )["role_permission"]
    return made | {
        "webhook_id": hook["webhook"]["webhook_id"],
        "role_id": role["id"],
        "role_permission_id": permission["id"],
    }


def _genai(alice: Person, experiment: str, tag: str) -> dict[str, str]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    trace = {
        "trace_id": f"tr-{tag}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}},
        "request_time": now,
        "state": "OK",
    }
    alice.post(f"{V3}/traces", trace={"trace_info": trace})
    assessment = {
        "assessment_name": "good",
        "trace_id": f"tr-{tag}",
        "source": {"source_type": "HUMAN", "source_id": "alice"},
        "create_time": now,
        "last_update_time": now,
        "feedback": {"value": True},
    }
    made = alice.post(f"{V3}/traces/tr-{tag}/assessments", assessment=assessment)["assessment"]
    dataset = alice.post(f"{V3}/datasets/create", name=f"data-{tag}", experiment_ids=[experiment])["dataset"]
    issue = alice.post(f"{V3}/issues", experiment_id=experiment, name="i", description="d", status="pending")
    schema = alice.post(
        f"{V3}/label-schemas/create",
        experiment_id=experiment,
        name="q",
        type="FEEDBACK",
        input={"text": {}},
    )["label_schema"]
    queue = alice.post(f"{V3}/review-queues/create", experiment_id=experiment, name="q", queue_type="CUSTOM")
    alice.post(f"{V3}/scorers/register", experiment_id=experiment, name="s", serialized_scorer=TEXT_SCORER)
    return {
        "trace_id": f"tr-{tag}",
        "request_id": f"tr-{tag}",
        "assessment_id": made["assessment_id"],
        "dataset_id": dataset["dataset_id"],
        "issue_id": issue["issue"]["issue_id"],
        "schema_id": schema["schema_id"],
        "queue_id": queue["review_queue"]["queue_id"],
        "now": now,
    }


def _gateway(alice: Person, root: Person, experiment: str, tag: str) -> dict[str, str]:
    secret = alice.post(
        f"{V3}/gateway/secrets/create",
        secret_name=f"secret-{tag}",
        secret_value={"api_key": "not-a-real-one"},
        provider="openai",
    )["secret"]["secret_id"]
    definition = alice.post(
        f"{V3}/gateway/model-definitions/create",
        name=f"definition-{tag}",
        secret_id=secret,
        provider="openai",
        model_name="gpt",
    )["model_definition"]["model_definition_id"]
    endpoint = alice.post(
        f"{V3}/gateway/endpoints/create",
        name=f"endpoint-{tag}",
        experiment_id=experiment,
        model_configs=[{"model_definition_id": definition, "linkage_type": "PRIMARY", "weight": 1}],
    )["endpoint"]["endpoint_id"]
    return {
        "secret_id": secret,
        "model_definition_id": definition,
        "endpoint_id": endpoint,
        "endpoint_name": f"endpoint-{tag}",
    }


def _mcp(alice: Person, tag: str) -> dict[str, str]:
    server = f"alice/tool-{tag}"
    alice.post(f"{V3}/mcp-servers", name=server)
    alice.post(
        f"{V3}/mcp-servers/{server}/versions",
        server_json={
            "name": server,
            "version": "1.0.0",
            "remotes": [{"type": "streamable-http", "url": "https://e.example"}],
        },
        status="active",
    )
    alice.post(f"{V3}/mcp-servers/{server}/aliases", alias="champion", version="1.0.0")
    access = alice.post(
        f"{V3}/mcp-servers/{server}/endpoints", url="https://e.example/mcp", server_version="1.0.0"
    )
    return {"server": server, "access_id": access["id"]}
