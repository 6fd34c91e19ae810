"""Which addresses a notebook server's network gets, and who joins it. The engine is one of words here."""

import ipaddress

import pytest
from docker.errors import APIError
from slipway_hub.networks import NoRoom, ServerNetworks, free_subnets
from slipway_hub.settings import Settings

ALL = ipaddress.IPv4Network("10.213.0.0/24")


def first(*taken: str, within: ipaddress.IPv4Network = ALL) -> str | None:
    found = next(free_subnets(within, taken), None)
    return str(found) if found else None


def test_the_lowest_free_part_is_taken():
    assert first() == "10.213.0.0/28"
    assert first("10.213.0.0/28", "10.213.0.32/28") == "10.213.0.16/28"
    assert first("10.213.0.16/28", "10.213.0.0/28") == "10.213.0.32/28"


def test_networks_of_other_sizes_are_passed_over():
    assert first("10.213.0.0/25") == "10.213.0.128/28"
    assert first("10.213.0.4/30") == "10.213.0.16/28"
    assert first("10.213.0.0/26", "10.213.0.4/30") == "10.213.0.64/28"


def test_networks_elsewhere_and_of_ipv6_do_not_matter():
    assert first("172.17.0.0/16", "fd00::/64", "10.212.255.240/28") == "10.213.0.0/28"


def test_a_range_that_is_full_has_no_part():
    assert first("10.0.0.0/8") is None
    assert first("10.213.0.0/28", within=ipaddress.IPv4Network("10.213.0.0/28")) is None


class Engine:
    """Answers as the engine does, and notes what it was asked to do."""

    def __init__(self, *containers: dict, overlap: str = "") -> None:
        self.there, self.of, self.overlap = list(containers), {}, overlap
        self.joined: list[tuple[str, str, tuple[str, ...]]] = []

    def networks(self, filters: dict | None = None) -> list[dict]:
        return list(self.of.values())

    def containers(self, **_: object) -> list[dict]:
        return self.there

    def create_network(self, name: str, *, ipam: dict, labels: dict, internal: bool, **_: object) -> dict:
        assert internal
        if ipam["Config"][0]["Subnet"] == self.overlap:
            raise APIError("403", explanation="Pool overlaps with other one on this address space")
        self.of[name] = {"Id": name, "Name": name, "Labels": labels, "IPAM": ipam}
        return {"Id": name}

    def connect_container_to_network(self, container: str, network: str, aliases: list[str]) -> None:
        self.joined.append((container, network, tuple(aliases)))
        for one in self.there:
            if one["Id"] == container:
                one["NetworkSettings"]["Networks"][network] = {}

    def disconnect_container_from_network(self, container: str, network: str, force: bool) -> None:
        for one in self.there:
            if one["Id"] == container:
                del one["NetworkSettings"]["Networks"][network]

    def remove_network(self, network: str) -> None:
        assert not any(network in one["NetworkSettings"]["Networks"] for one in self.there)
        del self.of[network]


def service(name: str, project: str = "acme", state: str = "running") -> dict:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": name}
    return {
        "Id": f"{project}-{name}",
        "Labels": labels,
        "State": state,
        "NetworkSettings": {"Networks": {"apps": {}}},
    }


def server(network: str) -> dict:
    labels = {"slipway.project": "acme", "slipway.role": "notebook"}
    networks = {"Networks": {network: {}}}
    return {"Id": network, "Labels": labels, "State": "running", "NetworkSettings": networks}


@pytest.fixture
def networks(secrets_dir):
    def over(engine: Engine, **settings: object) -> ServerNetworks:
        return ServerNetworks(Settings(notebook_name_prefix="acme", **settings), engine)

    return over


SERVICES = ("gateway", "proxy", "hub", "egress", "postgres", "mlflow")


def test_only_gateway_proxy_and_hub_join_and_only_the_gateway_has_a_name(networks):
    engine = Engine(*(service(name) for name in SERVICES), service("gateway", project="other"))
    networks(engine).make("acme-notebook-ann")
    assert engine.joined == [
        ("acme-gateway", "acme-notebook-ann", ("gateway",)),
        ("acme-proxy", "acme-notebook-ann", ()),
        ("acme-hub", "acme-notebook-ann", ()),
    ]


def test_the_way_out_joins_where_the_operator_wants_one(networks):
    engine = Engine(*(service(name) for name in SERVICES))
    networks(engine, notebook_internet=True).make("acme-notebook-ann")
    assert ("acme-egress", "acme-notebook-ann", ("egress",)) in engine.joined


def test_one_that_was_started_anew_joins_again(networks):
    engine = Engine(service("gateway"))
    made = networks(engine)
    made.make("acme-notebook-ann")
    engine.there = [service("gateway"), server("acme-notebook-ann")]
    made.started("acme-notebook-ann")
    engine.joined.clear()
    made.look()
    made.look()
    assert engine.joined == [("acme-gateway", "acme-notebook-ann", ("gateway",))]


def test_a_network_goes_when_its_server_is_gone_and_stopped_services_leave_it_first(networks):
    engine = Engine(service("gateway"))
    made = networks(engine)
    made.make("acme-notebook-ann")
    made.look()
    assert "acme-notebook-ann" in engine.of, "its server is being started"
    engine.there[0]["State"] = "exited"
    made.started("acme-notebook-ann")
    made.look()
    assert engine.of == {}


def test_addresses_that_are_taken_unseen_are_passed_over(networks):
    engine = Engine(overlap="10.213.0.0/28")
    networks(engine).make("acme-notebook-ann")
    assert engine.of["acme-notebook-ann"]["IPAM"]["Config"][0]["Subnet"] == "10.213.0.16/28"


def test_a_full_range_says_what_to_set(networks):
    engine = Engine()
    made = networks(engine, notebook_subnets="10.213.0.0/28")
    made.make("acme-notebook-ann")
    with pytest.raises(NoRoom, match="NOTEBOOK_SUBNETS"):
        made.make("acme-notebook-bob")
