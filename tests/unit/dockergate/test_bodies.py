"""What the gate lets through as the hub asks for it, and that everything else is refused with the field."""

import copy
import json

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool, Mount
from dockergate import bodies
from dockergate.bodies import NotAllowed
from dockergate.settings import Settings

LABELS = {"slipway.project": "acme", "slipway.role": "notebook"}
INHIBIT = "com.docker.network.bridge.inhibit_ipv4"
NAME = "acme-notebook-ann"


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(notebook_name_prefix="acme", notebook_images="acme/notebook:1")


@pytest.fixture
def server() -> dict:
    """A server's body, written by the library that the hub uses with the options that its spawner sets."""
    client = docker.APIClient(base_url="tcp://127.0.0.1:1", version="1.41")
    scratch = {**LABELS, "slipway.role": "scratch"}
    host = client.create_host_config(
        auto_remove=True,
        binds={},
        links={},
        mounts=[
            Mount(target="/home/jovyan", source=NAME, type="volume", labels=LABELS),
            Mount(target="/tmp", source="", type="volume", labels=scratch),
        ],
        mem_limit=2**31,
        cpu_period=100_000,
        cpu_quota=100_000,
        network_mode=NAME,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=1000,
        log_config={"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
        dns=["127.0.0.1"],
        dns_search=["."],
        dns_opt=["timeout:1", "attempts:2"],
    )
    return client.create_container_config(
        image="acme/notebook:1",
        command=["jupyterhub-singleuser"],
        environment={"JUPYTERHUB_API_TOKEN": "t"},
        ports={"8888/tcp": None},
        volumes=[],
        host_config=host,
        user="1000:1000",
        labels={**LABELS, "com.docker.compose.project": "", "com.docker.compose.service": ""},
    )


@pytest.fixture
def network() -> dict:
    return {
        "Name": NAME,
        "Driver": "bridge",
        "Internal": True,
        "CheckDuplicate": True,
        "IPAM": IPAMConfig(pool_configs=[IPAMPool(subnet="10.213.0.16/28")]),
        "Options": {INHIBIT: "true"},
        "Labels": LABELS,
    }


def passes(body: dict | str, settings: Settings, name: str = NAME) -> dict:
    text = body if isinstance(body, str) else json.dumps(body)
    return json.loads(bodies.written(bodies.server(text.encode(), name, settings)))


def changed(body: dict, path: str, value: object) -> dict:
    """A copy of the body with one field set, or left out if the value is `...`."""
    new = copy.deepcopy(body)
    *parents, last = path.split(".")
    place = new
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return new


def test_a_server_as_the_hub_asks_for_it_passes_and_is_written_anew(server, settings):
    made = passes(server, settings)
    assert made["HostConfig"]["ReadonlyRootfs"] is True
    assert made["HostConfig"]["CapDrop"] == ["ALL"]
    assert made["User"] == "1000:1000"
    assert made["Env"] == ["JUPYTERHUB_API_TOKEN=t"]
    # What docker-py sends as null is not sent on.
    assert "NetworkingConfig" not in made and "Entrypoint" not in made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Image", "debian:trixie"),
        ("User", "0:0"),
        ("User", ...),
        ("Entrypoint", ["/bin/sh"]),
        ("Labels", {**LABELS, "com.docker.compose.project": "acme", "com.docker.compose.service": "gateway"}),
        ("Labels", {"slipway.project": "other", "slipway.role": "notebook"}),
        ("NetworkingConfig", {"EndpointsConfig": {"acme_data": {}}}),
        ("Volumes", {"/etc": {}}),
        ("OnBuild", ["RUN x"]),
        ("HostConfig.Privileged", True),
        ("HostConfig.Privileged", False),
        ("HostConfig.Binds", ["/:/host"]),
        ("HostConfig.Mounts", [{"Type": "bind", "Source": "/", "Target": "/home/jovyan"}]),
        ("HostConfig.Mounts.0.Source", "acme_postgres"),
        ("HostConfig.Mounts.0.Source", "/etc"),
        ("HostConfig.Mounts.0.Target", "/etc"),
        ("HostConfig.Mounts.0.VolumeOptions.DriverConfig", {"Name": "local", "Options": {"device": "/"}}),
        ("HostConfig.Mounts.0.BindOptions", {"Propagation": "shared"}),
        ("HostConfig.Mounts.1.Source", "acme-notebook-bob"),
        ("HostConfig.NetworkMode", "host"),
        ("HostConfig.NetworkMode", "acme_data"),
        ("HostConfig.NetworkMode", "container:acme-postgres-1"),
        ("HostConfig.PidMode", "host"),
        ("HostConfig.IpcMode", "host"),
        ("HostConfig.UTSMode", "host"),
        ("HostConfig.UsernsMode", "host"),
        ("HostConfig.CgroupnsMode", "host"),
        ("HostConfig.CgroupParent", "/"),
        ("HostConfig.Devices", [{"PathOnHost": "/dev/sda"}]),
        ("HostConfig.DeviceRequests", [{"Count": -1}]),
        ("HostConfig.DeviceCgroupRules", ["a *:* rwm"]),
        ("HostConfig.CapAdd", ["SYS_ADMIN"]),
        ("HostConfig.CapDrop", []),
        ("HostConfig.CapDrop", ...),
        ("HostConfig.SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
        ("HostConfig.SecurityOpt", ["no-new-privileges:false"]),
        ("HostConfig.SecurityOpt", ...),
        ("HostConfig.ReadonlyRootfs", False),
        ("HostConfig.ReadonlyRootfs", ...),
        ("HostConfig.Memory", 0),
        ("HostConfig.Memory", ...),
        ("HostConfig.PidsLimit", -1),
        ("HostConfig.PidsLimit", ...),
        ("HostConfig.CpuQuota", -1),
        ("HostConfig.OomScoreAdj", -1000),
        ("HostConfig.Sysctls", {"net.ipv4.ip_forward": "1"}),
        ("HostConfig.Dns", ["1.1.1.1"]),
        ("HostConfig.Dns", ...),
        ("HostConfig.ExtraHosts", ["gateway:1.2.3.4"]),
        ("HostConfig.Links", ["acme-postgres-1:postgres"]),
        ("HostConfig.PortBindings", {"8888/tcp": [{"HostPort": "80"}]}),
        ("HostConfig.PublishAllPorts", True),
        ("HostConfig.VolumesFrom", ["acme-postgres-1"]),
        ("HostConfig.Runtime", "other"),
        ("HostConfig.MaskedPaths", []),
        ("HostConfig.ReadonlyPaths", []),
        ("HostConfig.GroupAdd", ["docker"]),
        ("HostConfig.RestartPolicy", {"Name": "always"}),
        ("HostConfig.LogConfig.Type", "syslog"),
        ("HostConfig.LogConfig.Config", {"syslog-address": "tcp://1.2.3.4"}),
    ],
)
def test_what_would_lower_a_wall_is_refused_by_its_field(server, settings, path, value):
    with pytest.raises(NotAllowed) as refusal:
        passes(changed(server, path, value), settings)
    assert path.split(".")[0] in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["", "acme-postgres-1", "other-notebook-ann", "acme-notebook-", "acme-notebook-a/b"]
)
def test_other_names_are_refused(server, settings, name):
    with pytest.raises(NotAllowed, match="acme-notebook-"):
        passes(server, settings, name)


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ('"HostConfig":', '"HostConfig": {"Privileged": true}, "HostConfig":'),
        ('"HostConfig":', '"hostconfig": {"Privileged": true}, "HostConfig":'),
        ('"Memory":', '"privileged": true, "Memory":'),
        ('"Memory":', '"Priv\\u0069leged": true, "Memory":'),
        ('"Image":', '"image": "debian:trixie", "Image":'),
    ],
)
def test_a_key_that_comes_twice_or_in_other_letters_is_refused(server, settings, there, instead):
    text = json.dumps(server)
    assert text.count(there) == 1
    with pytest.raises(NotAllowed):
        passes(text.replace(there, instead), settings)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{} {}", b"\xff", b'{"a": NaN}', b"[" * 100_000])
def test_what_is_no_body_is_refused(settings, raw):
    with pytest.raises(NotAllowed):
        bodies.server(raw, NAME, settings)


def test_a_network_as_the_hub_asks_for_it_passes(network, settings):
    made = json.loads(bodies.written(bodies.network(json.dumps(network).encode(), settings)))
    assert made["Internal"] is True
    assert made["EnableIPv6"] is False
    assert made["Options"] == {INHIBIT: "true"}
    assert made["IPAM"]["Config"] == [{"Subnet": "10.213.0.16/28"}]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Name", "acme_data"),
        ("Driver", "macvlan"),
        ("Internal", False),
        ("Internal", ...),
        ("EnableIPv6", True),
        ("Options", {}),
        ("Options", {INHIBIT: "false"}),
        (
            "Options",
            {INHIBIT: "true", "com.docker.network.bridge.name": "br0"},
        ),
        ("IPAM.Config", [{"Subnet": "10.0.0.0/28"}]),
        ("IPAM.Config", [{"Subnet": "10.213.0.0/16"}]),
        ("IPAM.Config", [{"Subnet": "10.213.0.1/28"}]),
        ("IPAM.Config", [{"Subnet": "10.213.0.0/28", "Gateway": "10.213.0.1"}]),
        ("IPAM.Driver", "other"),
        ("Labels", {}),
        ("ConfigFrom", {"Network": "other"}),
    ],
)
def test_no_other_network_is_made(network, settings, path, value):
    with pytest.raises(NotAllowed):
        bodies.network(json.dumps(changed(network, path, value)).encode(), settings)


@pytest.mark.parametrize(
    ("service", "names", "allowed"),
    [
        ("gateway", ["gateway"], True),
        ("proxy", [], True),
        ("egress", ["egress"], True),
        ("hub", ["gateway"], False),
        ("gateway", ["gateway", "auth"], False),
        ("proxy", ["proxy"], False),
    ],
)
def test_nobody_joins_under_anothers_name(service, names, allowed):
    raw = json.dumps({"Container": "abc", "EndpointConfig": {"Aliases": names}}).encode()
    asked = bodies.read(bodies.Connect, raw)
    if allowed:
        bodies.aliases(asked, service)
    else:
        with pytest.raises(NotAllowed):
            bodies.aliases(asked, service)
