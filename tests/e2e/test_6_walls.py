"""What a user's server can reach, tried from inside two users' containers: the gateway, and nothing else."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator

import psutil
import pytest

from tests.support.installation import Stack
from tests.support.processes import eventually

USERS = ("walda", "walter")
PORTS = (22, 53, 80, 443, 2019, 2375, 2376, 3128, 5000, 5432, 8000, 8001, 8080, 8081, 8888, 9000, 9001)
SERVICES = ("postgres", "minio", "mlflow", "serving", "auth", "portal", "dockergate", "secrets", "egress")

# Runs inside: which of the given host:port pairs take a connection.
KNOCK = """
import concurrent.futures, json, socket, sys
def knock(target):
    try:
        socket.create_connection(target, timeout=1.5).close()
    except OSError:
        return None
    return target
with concurrent.futures.ThreadPoolExecutor(200) as many:
    print(json.dumps([one for one in many.map(knock, json.load(sys.stdin)) if one]))
"""
# Runs inside: which ports of one neighbour, of all there are, take a connection.
SCAN = """
import json, socket, sys
def takes(port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((sys.argv[1], port)) == 0
print(json.dumps([port for port in range(1, 65536) if takes(port)]))
"""
RESOLVE = """
import concurrent.futures, json, socket, sys
def known(name):
    try:
        return socket.gethostbyname(name) and name
    except OSError:
        return None
with concurrent.futures.ThreadPoolExecutor(50) as many:
    print(json.dumps([name for name in many.map(known, sys.argv[1:]) if name]))
"""


class Servers:
    """Two users' servers, started by the administrator."""

    def __init__(self, stack: Stack, administrator) -> None:
        self.stack, self.hub = stack, administrator.http

    def start(self, name: str) -> None:
        self.hub.post(f"/hub/api/users/{name}")
        asked = self.hub.post(f"/hub/api/users/{name}/server", timeout=180)
        assert asked.status_code in (201, 202) or "already running" in asked.text, asked.text
        assert eventually(lambda: self.ready(name), 120, 1), f"{name}'s server did not start"

    def ready(self, name: str) -> bool:
        return self.hub.get(f"/hub/api/users/{name}").json()["servers"].get("", {}).get("ready", False)

    def stop(self, name: str) -> None:
        assert self.hub.delete(f"/hub/api/users/{name}/server", timeout=60).status_code in (202, 204)
        assert eventually(lambda: "" not in self.hub.get(f"/hub/api/users/{name}").json()["servers"], 60)

    def container(self, name: str) -> str:
        return f"{self.stack.project}-notebook-{name}"

    def python(self, name: str, program: str, *arguments: str, given: object = None):
        """What the program prints inside the user's container, as JSON."""
        command = ["docker", "exec", "--interactive", self.container(name), "python", "-c", program]
        done = subprocess.run(
            [*command, *arguments],
            input=json.dumps(given),
            env=self.stack.environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def address(self, name: str, container: str) -> str:
        """Of a container on the network of this user's server; empty if it is not there."""
        shown = json.loads(self.stack.docker("inspect", container).stdout)[0]["NetworkSettings"]["Networks"]
        return shown.get(self.container(name), {}).get("IPAddress", "")


@pytest.fixture(scope="module")
def servers(platform, administrator) -> Iterator[Servers]:
    if not isinstance(platform.installation, Stack):
        pytest.skip("this test looks inside the stack, which was given by its address alone")
    made = Servers(platform.installation, administrator)
    for name in USERS:
        made.start(name)
    yield made
    for name in USERS:
        made.stop(name)


@pytest.fixture
def host_service() -> Iterator[int]:
    """A service of the machine that listens on all its addresses."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def every_address(stack: Stack) -> set[str]:
    """Of every container, every bridge and the machine itself."""
    containers = json.loads(stack.docker("inspect", *stack.docker("ps", "--quiet").stdout.split()).stdout)
    found = {one["IPAddress"] for each in containers for one in each["NetworkSettings"]["Networks"].values()}
    networks = json.loads(
        stack.docker("network", "inspect", *stack.docker("network", "ls", "-q").stdout.split()).stdout
    )
    found |= {
        pool["Gateway"].split("/")[0]
        for one in networks
        for pool in one["IPAM"]["Config"] or []
        if "Gateway" in pool
    }
    found |= {
        one.address
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family == socket.AF_INET
    }
    return {address for address in found if address and not address.startswith("127.")}


def test_by_address_only_the_gateway_and_the_hubs_interface_answer(servers, stack, containers, host_service):
    """Every container of the machine, every bridge, the machine itself, a cloud's metadata, the Internet."""
    addresses = every_address(stack)
    assert len(addresses) > 15
    elsewhere = [("169.254.169.254", 80), ("1.1.1.1", 443), ("1.1.1.1", 53), ("8.8.8.8", 53)]
    targets = [(address, port) for address in sorted(addresses) for port in (*PORTS, host_service)]
    for name in USERS:
        reached = {tuple(one) for one in servers.python(name, KNOCK, given=[*targets, *elsewhere])}
        gateway = servers.address(name, containers["gateway"]["Id"])
        hub = servers.address(name, containers["hub"]["Id"])
        own = servers.address(name, servers.container(name))
        assert gateway and hub and own
        allowed = {(gateway, 80), (gateway, 443), (gateway, 8081), (hub, 8081), (own, 8888)}
        assert (gateway, 8081) in reached
        assert reached <= allowed, f"{name} reached {sorted(reached - allowed)}"


def test_the_machine_would_have_answered(host_service):
    """The refusals above are the wall's, not the service's."""
    for address in (
        one.address
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family == socket.AF_INET
    ):
        socket.create_connection((address, host_service), timeout=3).close()


def test_of_its_neighbours_nothing_else_is_open_on_any_port(servers, containers):
    name = USERS[0]
    found = {
        service: servers.python(name, SCAN, servers.address(name, containers[service]["Id"]))
        for service in ("gateway", "proxy", "hub")
    }
    assert set(found["gateway"]) <= {80, 443, 8081}
    assert found["proxy"] == []
    assert found["hub"] == [8081]


def test_by_name_it_finds_the_gateway_and_no_other_service(servers, stack):
    other = servers.container(USERS[1])
    of_containers = [f"{stack.project}-{service}-1" for service in SERVICES]
    names = ["gateway", *SERVICES, *of_containers, other, "host.docker.internal", "example.com"]
    assert servers.python(USERS[0], RESOLVE, *names) == ["gateway"]


def test_the_hubs_interface_answers_through_the_gateway(servers):
    ask = (
        'curl() { python -c "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).status)" "$@"; }; '
    )
    done = servers.stack.in_terminal(USERS[0], f"{ask} curl $JUPYTERHUB_API_URL/")
    assert done.stdout.strip() == "200", done.stderr
    shown = servers.stack.in_terminal(USERS[0], "env; ls /var/run/docker.sock; id -u; cat /proc/self/status")
    assert "JUPYTERHUB_API_URL=http://gateway:8081/hub/api" in shown.stdout
    assert "MLFLOW_EXPERIMENT_NAME=scratch-walda" in shown.stdout
    assert "No such file" in shown.stderr
    assert "CapBnd:\t0000000000000000" in shown.stdout
    assert "NoNewPrivs:\t1" in shown.stdout


WORK = """
set -e
! touch /opt/venv/x 2>/dev/null && ! touch /etc/x 2>/dev/null && ! touch /x 2>/dev/null
cd ~ && rm -rf work && mkdir work && cd work
touch /tmp/x
git init -q . && git -c user.name=w -c user.email=w@example.org commit -q --allow-empty -m first
mkdir added && touch added/__init__.py
printf '[project]\\nname = "added"\\nversion = "1"\\n' > pyproject.toml
pip install -q --no-build-isolation --no-deps --no-index .
(cd / && python -c 'import added; print(added.__file__)')
MPLBACKEND=agg python -c 'import matplotlib.pyplot as p; p.plot([1, 2]); p.savefig("x.png")'
python -c 'import mlflow; mlflow.start_run(); mlflow.log_text("x", "x.txt"); mlflow.end_run()'
echo all of it
"""


def test_behind_these_walls_one_can_still_work(servers):
    done = servers.stack.in_terminal(USERS[0], WORK)
    assert "all of it" in done.stdout, done.stdout + done.stderr
    assert "/home/jovyan/.local/" in done.stdout


def test_services_that_are_started_anew_are_joined_again_and_the_proxy_stays_closed(
    servers, stack, containers
):
    name = USERS[0]
    stack.compose("up", "--detach", "--no-build", "--no-deps", "--force-recreate", "gateway", "proxy")
    health = "import urllib.request as r; print(r.urlopen('http://gateway:8081/gateway/health').status)"

    def reaches_the_gateway() -> bool:
        return (
            stack.docker("exec", servers.container(name), "python", "-c", health, check=False).stdout
            == "200\n"
        )

    assert eventually(reaches_the_gateway, 30)
    proxy = f"{stack.project}-proxy-1"
    assert eventually(lambda: servers.address(name, proxy), 30)
    stack.compose("restart", "proxy")
    assert eventually(lambda: servers.address(name, proxy), 30)
    assert servers.python(name, KNOCK, given=[(servers.address(name, proxy), port) for port in PORTS]) == []
    # And the way in is whole again: through the gateway and the proxy to the server.
    assert eventually(lambda: servers.hub.get(f"/user/{name}/api/status").status_code == 200, 90, 1), (
        "the server is not reached after its proxy was started anew"
    )


def test_a_server_that_stops_takes_its_network_along(servers, stack):
    name = USERS[1]
    network = servers.container(name)
    assert network in stack.docker("network", "ls", "--format", "{{.Name}}").stdout.split()
    servers.stop(name)
    gone = lambda: network not in stack.docker("network", "ls", "--format", "{{.Name}}").stdout.split()  # noqa: E731
    assert eventually(gone, 15)
    servers.start(name)


THROUGH = """
import json, socket, sys
def ask(line):
    with socket.create_connection(("egress", 3128), timeout=20) as proxy:
        proxy.sendall(f"{line} HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n".encode())
        return int(proxy.recv(4096).split()[1])
print(json.dumps({line: ask(line) for line in sys.argv[1:]}))
"""


def test_the_way_out_is_an_option_and_leads_to_public_addresses_alone(servers, stack, host_service):
    name = USERS[1]
    assert servers.python(name, RESOLVE, "egress") == []
    stack.environment["NOTEBOOK_INTERNET"] = "true"
    try:
        stack.slipway("up")
        servers.stop(name)
        servers.start(name)
        shown = stack.in_terminal(name, "env").stdout
        assert "https_proxy=http://egress:3128" in shown
        assert "no_proxy=gateway," in shown
        private = sorted(every_address(stack))
        refused = [
            *(f"CONNECT {address}:443" for address in private),
            *(
                f"GET http://{address}/"
                for address in ("169.254.169.254", "2852039166", "0x7f000001", "127.1")
            ),
            *(
                f"CONNECT {name}:443"
                for name in ("localhost", "gateway", "egress", "[::1]", "[::ffff:10.0.0.1]")
            ),
            "CONNECT 1.1.1.1:22",
            f"CONNECT 1.1.1.1:{host_service}",
            "GET http://1.1.1.1:8080/",
            "GET http://egress:3128/squid-internal-mgr/menu",
        ]
        answers = servers.python(name, THROUGH, *refused)
        # IPv6 where the container has none is no refusal by rule, but it leads nowhere either.
        assert {line: code for line, code in answers.items() if code not in (403, 503)} == {}
        assert answers["GET http://169.254.169.254/"] == 403
        assert servers.python(name, THROUGH, "GET http://1.1.1.1/")["GET http://1.1.1.1/"] != 403
    finally:
        stack.environment.pop("NOTEBOOK_INTERNET")
        stack.slipway("up")
