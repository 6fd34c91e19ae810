"""The gate before a real engine: the hub's own spawner gets through it, and nothing else does."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import docker
import pytest
from docker.errors import APIError
from slipway_hub import spawner
from slipway_hub.networks import ServerNetworks
from slipway_hub.notebook_server import NotebookServer
from slipway_hub.settings import Settings
from traitlets.config import Config

SECRETS = {
    "jupyterhub_db_password": "p",
    "hub_cookie_secret": "ab" * 32,
    "hub_crypt_key": "cd" * 32,
    "hub_admin_password": "abcd-efgh-jkmn-pqrs",
    "proxy_auth_token": "proxy-token-of-the-test",
    "auth_service_token": "auth-token-of-the-test",
    "hub_operator_token": "operator-token-of-the-test",
}


@pytest.fixture
def settings(gate, tmp_path, monkeypatch) -> Settings:
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(value)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    return Settings(
        notebook_name_prefix=gate.prefix, notebook_image=gate.image, notebook_subnets="10.214.0.0/24"
    )


@pytest.fixture
def server(gate, settings, monkeypatch) -> NotebookServer:
    """The spawner as the hub has it, of a user `ann`, behind the gate."""
    monkeypatch.setenv("DOCKER_HOST", gate.url.replace("http", "tcp"))
    monkeypatch.setattr(NotebookServer, "_networks", ServerNetworks(settings, gate.client()))
    monkeypatch.setattr("dockerspawner.dockerspawner.DockerSpawner._client", gate.client())
    c = Config()
    spawner.configure(c, settings)
    made = NotebookServer(config=c, user=Ann(), hub=Hub())
    made.port = 8888
    monkeypatch.setattr(made, "get_env", lambda: {"JUPYTERHUB_API_TOKEN": "secret-of-ann"})
    monkeypatch.setattr(made, "get_command", command)
    return made


class Ann:
    name, url, id = "ann", "/user/ann/", 1


class Hub:
    api_url = "http://hub:8081/hub/api"


async def command() -> list[str]:
    return ["/nothing"]


@pytest.fixture
def made(gate, server):
    """Ann's container on its network, created and not started: there is no program in the image."""
    network = server.object_name
    server.networks.make(network)
    server.network_name = network
    created = asyncio.run(server.create_object())
    yield created["Id"]
    gate.client().remove_container(created["Id"], v=True)
    server.networks.remove(network)


def test_what_the_spawner_asks_for_is_made_as_it_should_be(gate, made):
    shown = gate.engine.inspect_container(made)
    host = shown["HostConfig"]
    assert shown["Name"] == f"/{gate.prefix}-notebook-ann"
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["Privileged"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["PidsLimit"], host["Memory"], host["CpuQuota"]) == (1000, 2**31, 100_000)
    assert shown["Config"]["User"] == "1000:1000"
    assert list(shown["NetworkSettings"]["Networks"]) == [f"{gate.prefix}-notebook-ann"]
    assert {
        mount["Destination"]: mount["Name"] == f"{gate.prefix}-notebook-ann" for mount in shown["Mounts"]
    } == {
        "/home/jovyan": True,
        "/tmp": False,
    }


def test_the_network_is_closed_and_small(gate, made):
    network = gate.engine.inspect_network(f"{gate.prefix}-notebook-ann")
    assert network["Internal"] and not network["EnableIPv6"]
    [pool] = network["IPAM"]["Config"]
    assert pool["Subnet"].startswith("10.214.0.") and pool["Subnet"].endswith("/28")
    # No address of this machine is on it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.connect((pool["Subnet"].split("/")[0], 9))
        assert not asked.getsockname()[0].startswith("10.214.0.")


def test_a_network_that_two_want_is_made_once_and_removed_with_its_server(gate, server):
    networks = server.networks
    networks.make(f"{gate.prefix}-notebook-bob")
    networks.make(f"{gate.prefix}-notebook-bob")
    assert len(gate.engine.networks(names=[f"{gate.prefix}-notebook-bob"])) == 1
    networks.look()
    assert gate.engine.networks(names=[f"{gate.prefix}-notebook-bob"]), "it is being started"
    networks.started(f"{gate.prefix}-notebook-bob")
    networks.look()
    assert not gate.engine.networks(names=[f"{gate.prefix}-notebook-bob"])


def test_services_join_also_when_they_were_started_anew_and_nobody_else_does(gate, server, made):
    network = f"{gate.prefix}-notebook-ann"
    services = {}
    for service in ("gateway", "proxy", "hub", "postgres", "egress"):
        services[service] = a_service(gate, service)
    # A container must run to be joined by itself; these cannot, so they are joined by hand.
    client = gate.client()
    client.connect_container_to_network(services["gateway"], network, aliases=["gateway"])
    client.connect_container_to_network(services["proxy"], network)
    for refused, names in (("postgres", []), ("hub", ["gateway"]), ("hub", ["auth"])):
        with pytest.raises(APIError) as refusal:
            client.connect_container_to_network(services[refused], network, aliases=names)
        assert refusal.value.status_code == 403
    with pytest.raises(APIError) as refusal:
        client.connect_container_to_network(services["gateway"], "bridge")
    assert refusal.value.status_code == 403
    seen = {one["Id"] for one in client.containers(all=True)}
    assert seen == {made, *(services[name] for name in ("gateway", "proxy", "hub", "egress"))}
    # Removing a network takes stopped services off it: they could not be started again.
    server.networks.remove(network)
    assert network not in gate.engine.inspect_container(services["gateway"])["NetworkSettings"]["Networks"]
    for one in services.values():
        gate.engine.remove_container(one, force=True)


def a_service(gate, service: str) -> str:
    labels = {"com.docker.compose.project": gate.prefix, "com.docker.compose.service": service}
    name = f"{gate.prefix}-{service}-1"
    return gate.engine.create_container(gate.image, ["/nothing"], name=name, labels=labels)["Id"]


def test_nothing_is_told_of_containers_and_networks_of_others(gate, made):
    client = gate.client()
    foreign = gate.engine.create_container(
        gate.image, ["/nothing"], name=f"{gate.prefix}-notebook-not", environment={"SECRET": "of-others"}
    )["Id"]
    try:
        assert "of-others" not in json.dumps(client.containers(all=True))
        assert client.inspect_container(made)["Config"]["Env"] == []
        for one in client.networks():
            assert not one["Name"] or one["Name"].startswith(f"{gate.prefix}-notebook-")
        # Its name fits, and it was not made by this project.
        for act in (client.inspect_container, client.start, client.stop, client.remove_container):
            with pytest.raises(APIError) as refusal:
                act(foreign)
            assert refusal.value.status_code == 403
        assert gate.engine.inspect_container(foreign)
    finally:
        gate.engine.remove_container(foreign)


def test_what_is_not_there_is_not_there(gate):
    with pytest.raises(docker.errors.NotFound):
        gate.client().inspect_container(f"{gate.prefix}-notebook-nobody")
    with pytest.raises(docker.errors.NotFound):
        gate.client().remove_network(f"{gate.prefix}-notebook-nobody")


REFUSED = [
    ("POST", "/containers/ID/exec"),
    ("POST", "/exec/abc/start"),
    ("POST", "/containers/ID/attach"),
    ("POST", "/containers/ID/update"),
    ("POST", "/containers/ID/rename?name=x"),
    ("POST", "/containers/ID/kill"),
    ("POST", "/containers/ID/pause"),
    ("GET", "/containers/ID/archive?path=/"),
    ("PUT", "/containers/ID/archive?path=/"),
    ("GET", "/containers/ID/export"),
    ("GET", "/containers/ID/logs?stdout=1"),
    ("GET", "/containers/ID/top"),
    ("POST", "/containers/prune"),
    ("POST", "/commit?container=ID"),
    ("POST", "/build"),
    ("POST", "/build/prune"),
    ("GET", "/images/json"),
    ("GET", "/images/debian/json"),
    ("POST", "/images/create?fromImage=debian"),
    ("DELETE", "/images/IMAGE"),
    ("GET", "/images/IMAGE/get"),
    ("POST", "/images/load"),
    ("GET", "/volumes"),
    ("POST", "/volumes/create"),
    ("DELETE", "/volumes/PREFIX-notebook-ann"),
    ("POST", "/networks/prune"),
    ("DELETE", "/networks/bridge"),
    ("GET", "/networks/bridge"),
    ("GET", "/info"),
    ("GET", "/events"),
    ("GET", "/system/df"),
    ("POST", "/auth"),
    ("GET", "/secrets"),
    ("POST", "/secrets/create"),
    ("GET", "/configs"),
    ("POST", "/swarm/init"),
    ("GET", "/plugins"),
    ("POST", "/plugins/pull"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("GET", "/containers/json?all=1&all=0"),
    ("DELETE", "/containers/ID?force=1&x=1"),
    ("POST", "/containers/ID/start?detachKeys=x"),
]


@pytest.mark.parametrize("version", ["", "/v1.41"])
@pytest.mark.parametrize(("method", "path"), REFUSED)
def test_every_other_request_is_refused_and_noted(gate, http, made, version, method, path):
    path = path.replace("ID", made).replace("IMAGE", gate.image).replace("PREFIX", gate.prefix)
    answer = http.request(method, version + path)
    assert answer.status_code == 403, answer.text
    assert answer.json()["message"].startswith("dockergate: ")
    assert f"refused: {method}" in gate.log.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "GET /v1.41/containers/json/../../info HTTP/1.1",
        "GET /v1.41/../info HTTP/1.1",
        "GET /v1.41//info HTTP/1.1",
        "GET /v1.41/%69nfo HTTP/1.1",
        "GET /containers%2fjson HTTP/1.1",
        "GET /v9.99/info HTTP/1.1",
        "GET http://docker/info HTTP/1.1",
        "GET /version/../info HTTP/1.1",
        "POST /containers/create%3fname=x HTTP/1.1",
        "GET /info\u00a0 HTTP/1.1",
        "CONNECT 127.0.0.1:22 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
    ],
)
def test_a_path_in_disguise_is_refused(gate, line):
    answer = raw(gate, f"{line}\r\nHost: dockergate\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] in (b"403", b"400", b"404"), answer
    assert b"ServerVersion" not in answer


def test_a_hijacked_connection_carries_nothing(gate, made):
    request = f"POST /v1.41/containers/{made}/attach?stream=1 HTTP/1.1\r\nHost: d\r\n"
    request += "Upgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"
    assert b" 403 " in raw(gate, request.encode())


def raw(gate, request: bytes) -> bytes:
    host, port = gate.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(request)
        time.sleep(0.3)
        return connection.recv(65536)
