"""What must hold of the running stack: one door, databases, memory; and starting twice changes nothing."""

from __future__ import annotations

import json
import socket
import threading
import time

import httpx
import pytest

from tests.e2e import people
from tests.support.installation import Stack


def test_only_the_gateway_publishes_ports(containers):
    publishing = {name for name, one in containers.items() if one["HostConfig"]["PortBindings"]}
    assert publishing == {"gateway"}
    bound_to = {
        binding["HostIp"]
        for bindings in containers["gateway"]["HostConfig"]["PortBindings"].values()
        for binding in bindings
    }
    assert bound_to == {"127.0.0.1"}


def test_each_service_has_a_database_and_a_role_that_is_no_superuser(stack):
    sql = (
        "SELECT r.rolname, r.rolsuper OR r.rolcreatedb OR r.rolcreaterole, d.datname "
        "FROM pg_roles r JOIN pg_database d ON d.datdba = r.oid "
        "WHERE r.rolcanlogin AND r.rolname <> 'postgres'"
    )
    rows = stack.compose("exec", "-T", "postgres", "psql", "-U", "postgres", "-Atc", sql).stdout.split()
    assert {tuple(row.split("|")) for row in rows} == {
        (name, "f", name) for name in ("mlflow", "mlflow_auth", "jupyterhub", "auth", "serving", "pipelines")
    }


@pytest.mark.parametrize(
    "service", ["mlflow", "serving", "hub", "auth", "portal", "proxy", "objectstore", "minio"]
)
def test_a_missing_secret_stops_the_service_with_a_sentence(stack, containers, service):
    """The same container without its secrets' volume."""
    one = containers[service]
    environment = [f"--env={pair}" for pair in one["Config"]["Env"]]
    mounts = [
        f"--volume={mount['Source']}:{mount['Destination']}:ro"
        for mount in one["Mounts"]
        if mount["Type"] == "bind"
    ]
    entrypoint, *arguments = [*(one["Config"]["Entrypoint"] or []), *(one["Config"]["Cmd"] or [])]
    stopped = stack.docker(
        "run", "--rm", "--tmpfs=/run/secrets", "--tmpfs=/var/cache/serving:mode=1777",
        f"--user={one['Config']['User']}", *environment, *mounts, f"--entrypoint={entrypoint}",
        one["Image"], *arguments, check=False, timeout=90,
    )  # fmt: skip
    output = stopped.stdout + stopped.stderr
    assert stopped.returncode not in (0, 124), output
    assert "/run/secrets/" in output
    assert "Traceback" not in output


def test_starting_it_again_changes_nothing(stack, containers):
    before = {name: (one["Id"], one["State"]["StartedAt"]) for name, one in containers.items()}
    running = {name for name, one in containers.items() if one["State"]["Running"]}
    stack.slipway("up")
    stack.compose("up", "--detach", "--wait", "--no-build", check=False)
    ids = stack.docker(
        "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}"
    )
    again = json.loads(stack.docker("inspect", *ids.stdout.split()).stdout)
    after = {
        one["Config"]["Labels"]["com.docker.compose.service"]: (one["Id"], one["State"]["StartedAt"])
        for one in again
    }
    assert {name: after[name] for name in running} == {name: before[name] for name in running}


def test_a_taken_port_is_named_before_anything_is_changed(stack):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = Stack("slipway-e2e-port", HTTP_PORT=str(port)).slipway("up", check=False)
    output = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert str(port) in output and "HTTP_PORT" in output
    left = stack.docker(
        "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=slipway-e2e-port"
    ).stdout
    assert left == ""


def test_a_large_artifact_is_streamed_through_the_server(platform, stack, containers, person):
    """400 MB up through the gateway; the server's processes must not grow by that much."""
    page = person(platform.admin)
    people.log_in(page, platform.admin, platform.admin_password)
    headers = {"Authorization": f"Bearer {people.api_token(page, platform.admin)}"}
    url = f"{platform.url}/mlflow/api/2.0/mlflow-artifacts/artifacts/large/zeros.bin"
    size = 400 * 1024 * 1024
    before = resident(stack, containers["mlflow"]["Id"])
    seen, done = [before], threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(resident(stack, containers["mlflow"]["Id"]))
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        sent = httpx.put(url, headers=headers, content=(bytes(1024 * 1024) for _ in range(400)), timeout=300)
    finally:
        done.set()
        watcher.join()
    assert sent.status_code == 200, sent.text
    assert max(seen) - before < 150 * 1024 * 1024, f"grew by {(max(seen) - before) / 2**20:.0f} MB"
    with httpx.stream("GET", url, headers=headers, timeout=300) as back:
        assert sum(len(chunk) for chunk in back.iter_bytes()) == size
    assert httpx.delete(url, headers=headers, timeout=60).status_code == 200


def resident(stack, container: str) -> int:
    """The resident memory of a container's processes, in bytes."""
    rows = stack.docker("top", container, "-eo", "pid,rss").stdout.split("\n")[1:]
    return sum(int(row.split()[1]) for row in rows if row) * 1024
