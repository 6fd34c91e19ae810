"""Which path reaches whom, and what of it is kept: the gateway as its variables tell it to be."""

from __future__ import annotations

import json
import re
import socket

import pytest

from tests.integration.gateway.conftest import SECRET, Gateway, adapted
from tests.support.processes import Processes


@pytest.mark.parametrize("at", ["port", "notebooks_port"])
@pytest.mark.parametrize(
    ("path", "by", "arrives_as"),
    [
        ("/hub/home", "proxy", "/hub/home"),
        ("/user/ann/lab", "proxy", "/user/ann/lab"),
        ("/auth/whoami", "auth", "/auth/whoami"),
        ("/mlflow/version", "mlflow", "/mlflow/version"),
        ("/serving/models", "serving", "/models"),
        ("/portal/state.json", "portal", "/portal/state.json"),
        ("/", "portal", "/"),
    ],
)
def test_each_path_reaches_the_service_that_a_variable_names(gateway, at, path, by, arrives_as):
    answer = gateway.get(path, getattr(gateway, at), Authorization="Bearer ann").json()
    assert (answer["by"], answer["path"]) == (by, arrives_as)


def test_who_is_unknown_does_not_reach_mlflow(gateway):
    answer = gateway.get("/mlflow/")
    assert answer.status_code == 401
    assert answer.json()["by"] == "auth"


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "slipway.example.org"])
def test_any_name_of_the_machine_will_do(gateway, name):
    assert gateway.get("/", Host=name).json()["by"] == "portal"


def test_it_listens_on_no_other_interface(gateway):
    for port in (gateway.port, gateway.notebooks_port):
        for address in other_addresses():
            with pytest.raises(OSError):
                socket.create_connection((address, port), timeout=2).close()


def other_addresses() -> list[str]:
    """Addresses of this machine by which it would be reached if it listened on all."""
    found = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    return [address for address in ("127.0.0.2", "::1", *sorted(found)) if address != "127.0.0.1"]


def test_a_token_in_an_address_is_not_in_the_log(gateway):
    gateway.get("/hub/one-time-login?token=very-secret-indeed")
    assert "very-secret-indeed" not in gateway.log


def test_an_address_that_is_repeated_is_no_way_around_that(gateway):
    """A browser says where it comes from, and a login answers where to go: with the code in it."""
    came_from = "http://slipway.test/hub/login?token=of-a-referer"
    gateway.get("/hub/home", Referer=came_from)
    gateway.get("/hub/leads?to=/auth/callback%3Fcode%3Dof-a-redirect")
    assert "of-a-referer" not in gateway.log
    assert '"Location"' not in gateway.log


def test_the_secret_is_not_in_the_log_of_a_service_that_is_down(gateway):
    gateway.get("/mlflow/hangs-up", Authorization="Bearer ann")
    assert "mlflow/hangs-up" in gateway.log
    assert SECRET not in gateway.log


def test_it_keeps_what_it_writes_in_the_folders_it_was_given_and_stops_when_told(tmp_path):
    processes = Processes(tmp_path)
    gateway = Gateway(tmp_path, processes)
    processes.stop(gateway.process)
    assert gateway.process.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} <= {
        "gateway.log", "data", "config", "config.json", "secrets"
    }  # fmt: skip
    assert "enabling automatic TLS" not in gateway.log


def test_without_variables_it_is_the_gateway_of_the_compose_stack():
    config = adapted({"SITE_ADDRESS": ":80"})
    servers = config["apps"]["http"]["servers"]
    assert sorted(server["listen"] for server in servers.values()) == [[":80"], [":8081"]]
    dialled = set(re.findall(r'"dial": "([^"]+)"', json.dumps(config)))
    assert dialled == {"proxy:8000", "auth:8000", "mlflow:5000", "portal:8000"}
    # Serving's replicas are those that its name leads to.
    found = re.findall(r'"dynamic_upstreams": (\{[^}]+\}?)', json.dumps(config))
    assert found and all('"name": "serving"' in one and '"port": "8000"' in one for one in found)
