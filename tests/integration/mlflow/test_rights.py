"""Two users and an administrator against each other over every route that MLflow's application has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import httpx
import pytest

from tests.integration.mlflow import rights_routes as tables
from tests.integration.mlflow.rights_routes import Write
from tests.integration.mlflow.rights_world import TEXT_SCORER, V2, V3, build
from tests.integration.mlflow.tracking_support import READER, SECRETS, as_, make_secrets, settings

CLIENT = httpx.Client(timeout=60)
PLACEHOLDER = re.compile(r"<(?:\w+:)?(\w+)>|\{(\w+)(?::\w+)?\}")
"""As Flask and as FastAPI write them."""


@pytest.fixture(scope="session")
def routes(tmp_path_factory) -> dict[str, list[str]]:
    """The paths by route, as rights_routes writes it."""
    folder = tmp_path_factory.mktemp("routes")
    environment = settings(folder, make_secrets(folder / "secrets")) | {
        "_MLFLOW_STATIC_PREFIX": "/mlflow",
        "_MLFLOW_SGI_NAME": "uvicorn",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    }
    program = Path(__file__).with_name("route_table.py")
    printed = subprocess.run(
        [sys.executable, str(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert printed.returncode == 0, printed.stderr
    found = defaultdict(list)
    for method, rule in json.loads(printed.stdout):
        if method not in ("HEAD", "OPTIONS"):
            path = PLACEHOLDER.sub(lambda one: f"{{{one[1] or one[2]}}}", rule)
            name = re.sub(r"^(/mlflow(?=/))?(/(ajax-)?api/\d\.\d(?=/))?", "", path)
            found[f"{method} {name.rstrip('/') or '/'}"].append(path)
    return dict(found)


def is_known(route: str) -> bool:
    method, name = route.split(" ")
    return (
        route in tables.WRITES
        or route in tables.ADMINISTRATORS
        or route in tables.CLOSED | tables.ONES_OWN | tables.READS | tables.NEED_A_JOB
        or name.startswith(tables.CLOSED_BELOW)
        or bool(tables.INVOCATIONS.match(route))
        or method == "GET"
    )


def test_every_route_of_mlflow_is_in_a_table(routes):
    unknown = sorted(route for route in routes if not is_known(route))
    assert not unknown, "look at what these do, then put them into rights_routes.py"


def test_no_table_names_a_route_that_mlflow_has_not(routes):
    named = {*tables.WRITES, *tables.ADMINISTRATORS, *tables.CLOSED, *tables.ONES_OWN, *tables.READS}
    assert not named - routes.keys()


def filled(value, ids):
    if isinstance(value, str):
        return value.format(**ids)
    if isinstance(value, list):
        return [filled(one, ids) for one in value]
    return {key: filled(one, ids) for key, one in value.items()} if isinstance(value, dict) else value


def address(path: str, write: Write, ids: dict[str, str]) -> str:
    if not write.path:
        return filled(path, ids)
    given = filled(write.path, ids)
    fixed = path.split("{")[0]
    return fixed.rstrip("/") + given if given.startswith("?") else fixed + given


def send(
    base: str, route: str, path: str, write: Write, ids: dict[str, str], headers: dict
) -> httpx.Response:
    method = route.split(" ")[0]
    body = filled(write.body, ids)
    content = {"content": body} if isinstance(body, str) else {} if body is None else {"json": body}
    headers = headers | filled(dict(write.headers), ids)
    return CLIENT.request(method, base + address(path, write, ids), headers=headers, **content)


def every_write(routes, table):
    for route, writes in table.items():
        for write in writes if isinstance(writes, list) else [writes]:
            for path in routes[route]:
                yield route, path, write


@pytest.fixture(scope="session")
def world(tracking):
    from tests.integration.mlflow.tracking_support import Person

    alice, root = Person(tracking, as_("alice")), Person(tracking, as_("root-admin", admin=True))
    Person(tracking, as_("bob")).get(f"{V2}/users/current")
    return build(alice, root, "one") | {"scorer": TEXT_SCORER, "job_id": "none", "workspace_name": "default"}


@pytest.mark.parametrize(
    ("who", "headers", "status"),
    [
        ("another user", as_("bob"), 403),
        ("serving", READER, 403),
        ("nobody", {}, 401),
        ("a wrong secret", as_("root-admin", admin=True) | {"X-Gateway-Secret": "guessed"}, 401),
        ("names without the secret", {"X-Remote-User": "alice", "X-Remote-Admin": "1"}, 401),
        ("a wrong token", {"Authorization": "Bearer guessed"}, 401),
        (
            "MLflow's own log-in",
            {"Authorization": "Basic X3NsaXB3YXk6bWxmbG93X2J1aWx0aW5fYWRtaW5fcGFzc3dvcmQ="},
            401,
        ),
    ],
)
def test_on_every_write_route_is_refused(who, headers, status, tracking, routes, world):
    wrong = []
    for table in (tables.WRITES, tables.ADMINISTRATORS):
        for route, path, write in every_write(routes, table):
            answer = send(tracking, route, path, write, world, headers)
            if answer.status_code != status:
                wrong.append(f"{route} at {path}: {answer.status_code} {answer.text[:150]}")
    assert not wrong, "\n".join(wrong)


def test_what_an_administrator_alone_may_do_is_refused_to_who_made_the_rest(tracking, routes, world):
    wrong = []
    for route, path, write in every_write(routes, tables.ADMINISTRATORS):
        answer = send(tracking, route, path, write, world, as_("alice"))
        if answer.status_code != 403:
            wrong.append(f"{route} at {path}: {answer.status_code} {answer.text[:150]}")
    assert not wrong, "\n".join(wrong)


def test_what_is_closed_is_closed_for_administrators_too(tracking, routes):
    closed = [r for r in routes if r in tables.CLOSED or r.split(" ")[1].startswith(tables.CLOSED_BELOW)]
    assert len(closed) > 10
    for route in closed:
        for path in routes[route]:
            plain = path.replace("{", "").replace("}", "")
            answer = send(tracking, route, plain, Write({}), {}, as_("root-admin", admin=True))
            assert answer.status_code == 403, f"{route}: {answer.status_code}"


def test_reading_is_for_everybody_who_is_known_and_nobody_else(tracking, routes):
    for route in routes:
        name = route.split(" ")[1]
        if name in ("/health", "/static-files/{path}"):
            continue
        for path in routes[route]:
            plain = path.replace("{", "").replace("}", "")
            answer = send(tracking, route, plain, Write(), {}, {"X-Remote-User": "alice"})
            assert answer.status_code == 401, f"{route} at {path}: {answer.status_code}"


def done_by(tracking, routes, table, headers, ids) -> list[str]:
    wrong = []
    for route, writes in table.items():
        for write in writes if isinstance(writes, list) else [writes]:
            if write.tried:
                answer = send(tracking, route, routes[route][0], write, ids, headers)
                if not answer.is_success:
                    wrong.append(f"{route}: {answer.status_code} {answer.text[:200]}")
    return wrong


@pytest.mark.parametrize(
    ("maker", "doer", "admin"), [("alice", "alice", False), ("carol", "root-admin", True)]
)
def test_the_maker_and_an_administrator_may(maker, doer, admin, tracking, routes, person):
    """The very requests that are refused to others: so it is for rights that they are refused."""
    person("bob").get(f"{V2}/users/current")
    ids = build(person(maker), person("root-admin", admin=True), f"by-{doer}") | {"scorer": TEXT_SCORER}
    wrong = done_by(tracking, routes, tables.WRITES, as_(doer, admin=admin), ids)
    assert not wrong, "\n".join(wrong)


def test_an_administrator_may_what_only_they_may(tracking, routes, person):
    root = person("root-admin", admin=True)
    person("bob").get(f"{V2}/users/current")
    ids = build(person("alice"), root, "for-root")
    wrong = done_by(tracking, routes, tables.ADMINISTRATORS, as_("root-admin", admin=True), ids)
    assert not wrong, "\n".join(wrong)


def test_another_users_endpoint_cannot_be_used(tracking, routes, world):
    for path in (
        "mlflow/v1/chat/completions",
        "openai/v1/chat/completions",
        "{endpoint_name}/mlflow/invocations",
    ):
        write = Write({"model": "{endpoint_name}", "messages": []})
        answer = send(tracking, "POST ", f"/mlflow/gateway/{path}", write, world, as_("bob"))
        assert answer.status_code == 403


def test_a_refusal_says_what_is_missing_and_who_can_give_it(person, world):
    answer = person("bob").ask(
        "POST", f"{V2}/runs/set-tag", {"run_id": world["run_id"], "key": "k", "value": "v"}
    )
    assert answer.json() == {
        "error_code": "PERMISSION_DENIED",
        "message": "bob may not change the runs of the experiment 'of alice one': "
        "its creator or an administrator can grant that",
    }
    answer = person("bob").ask(
        "POST", f"{V2}/registered-models/set-tag", {"name": "model-one", "key": "k", "value": "v"}
    )
    assert "the registered model 'model-one'" in answer.json()["message"]
    answer = person("alice").ask(
        "POST", f"{V2}/users/create", {"username": "x", "password": "a long password"}
    )
    assert "./slipway users" in answer.json()["message"]


def test_the_secrets_are_in_no_answer(person):
    said = person("root-admin", admin=True).get(f"{V2}/users/list")
    assert not any(secret in json.dumps(said) for secret in SECRETS.values())


def test_whoever_makes_something_may_change_it_at_once_with_every_worker(person):
    dora = person("dora")
    for number in range(5):
        experiment = dora.post(f"{V2}/experiments/create", name=f"of dora {number}")["experiment_id"]
        for _ in range(4):
            dora.post(f"{V2}/runs/create", experiment_id=experiment)


def test_groups_are_roles_and_withdrawn_membership_is_withdrawn_rights(person, world):
    root, tag = (
        person("root-admin", admin=True),
        {"experiment_id": world["experiment_id"], "key": "g", "value": "v"},
    )
    person("erin", groups="team,other").get(f"{V2}/users/current")
    (role,) = [
        r for r in root.get(f"{V3}/roles/list", workspace="default")["roles"] if r["name"] == "hub:team"
    ]
    root.post(
        f"{V3}/roles/permissions/add",
        role_id=role["id"],
        resource_type="experiment",
        resource_pattern=world["experiment_id"],
        permission="EDIT",
    )
    member, former = person("erin", groups="team"), person("erin")
    for _ in range(6):  # whichever worker answers
        assert member.ask("POST", f"{V2}/experiments/set-experiment-tag", tag).status_code == 200
        assert former.ask("POST", f"{V2}/experiments/set-experiment-tag", tag).status_code == 403
        assert member.ask("POST", f"{V2}/experiments/set-experiment-tag", tag).status_code == 200


def test_an_administrator_who_is_none_any_more_is_none_at_the_next_request(person, world):
    tag = {"experiment_id": world["experiment_id"], "key": "g", "value": "v"}
    was, now = person("frank", admin=True), person("frank")
    for _ in range(6):
        assert was.ask("POST", f"{V2}/experiments/set-experiment-tag", tag).status_code == 200
        assert now.ask("POST", f"{V2}/experiments/set-experiment-tag", tag).status_code == 403


def test_a_grant_is_a_right_and_a_revoked_one_is_none_with_every_worker(person, world):
    alice, gina = person("alice"), person("gina")
    gina.get(f"{V2}/users/current")
    model = {"username": "gina", "resource_type": "registered_model", "resource_id": "model-one"}
    alias = {"name": "model-one", "alias": "of-gina", "version": "1"}
    tag = {"name": "model-one", "key": "k", "value": "v"}
    alice.post(f"{V3}/users/permissions/grant", **model, permission="EDIT")
    for _ in range(4):
        assert gina.ask("POST", f"{V2}/registered-models/set-tag", tag).status_code == 200
        refused = gina.ask("POST", f"{V2}/registered-models/alias", alias)
        assert refused.status_code == 403, "who may edit may not say what is in production"
        for key in ("production.version", "slipway.canary"):
            record = tag | {"key": key}
            assert gina.ask("POST", f"{V2}/registered-models/set-tag", record).status_code == 403
    alice.post(f"{V3}/users/permissions/revoke", **model)
    alice.post(f"{V3}/users/permissions/grant", **model, permission="MANAGE")
    for _ in range(4):
        assert gina.ask("POST", f"{V2}/registered-models/alias", alias).status_code == 200
    alice.post(f"{V3}/users/permissions/revoke", **model)
    for _ in range(4):
        assert gina.ask("POST", f"{V2}/registered-models/set-tag", tag).status_code == 403


def test_serving_writes_nothing_whatever_it_is_granted(tracking, person, world):
    httpx.get(f"{tracking}/mlflow{V2}/registered-models/search", headers=READER).raise_for_status()
    model = {"username": "_serving", "resource_type": "registered_model", "resource_id": "model-one"}
    person("alice").post(f"{V3}/users/permissions/grant", **model, permission="MANAGE")
    tag = {"name": "model-one", "key": "k", "value": "v"}
    path = f"{tracking}/mlflow{V2}/registered-models/set-tag"
    assert httpx.post(path, json=tag, headers=READER).status_code == 403


def test_many_first_requests_of_one_person_at_once_make_one_user(tracking, person):
    import concurrent.futures

    def ask(number):
        headers = as_("henry", admin=number % 2 == 0, groups="a,b" if number % 3 else "b")
        return httpx.get(f"{tracking}/mlflow{V2}/users/current", headers=headers, timeout=60).status_code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(48))) == {200}
    users = person("root-admin", admin=True).get(f"{V2}/users/list")["users"]
    assert [one["username"] for one in users].count("henry") == 1
