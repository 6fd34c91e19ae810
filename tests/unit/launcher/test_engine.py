"""What is read from the answers of docker and docker compose."""

from __future__ import annotations

from infra.launcher import compose, engine

INSPECTED = {
    "Id": "abc",
    "Name": "/slipway-gateway-1",
    "Image": "sha256:1",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-11-24T07:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "healthy"},
    },
    "Config": {"Labels": {engine.SERVICE: "gateway", engine.CONFIG_HASH: "h"}},
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "443/tcp": None}},
}

CONFIG = {
    "name": "slipway",
    "services": {
        "gateway": {
            "image": "slipway/gateway:dev",
            "build": {"context": "/x", "args": {"GATEWAY_IMAGE": "caddy:2.11.7", "OTHER": "x"}},
            "ports": [{"target": 80, "published": "8080"}, {"target": 443, "published": "8443-8450"}],
            "restart": "unless-stopped",
            "depends_on": {"secrets": {"condition": "service_completed_successfully"}},
        },
        "postgres": {"image": "postgres", "restart": "unless-stopped"},
        "secrets": {"build": {"context": "/x", "args": {"BASE_IMAGE": "debian:trixie-slim"}}},
        "notebook": {"image": "slipway/notebook:dev", "build": {"context": "/x"}, "restart": "no"},
        "minio": {"image": "silo:1", "scale": 0},
        "old": {"image": "silo:1", "deploy": {"replicas": 0}},
    },
}


def test_a_container_is_read_from_inspect():
    container = engine.container_of(INSPECTED)
    assert (container.name, container.service, container.health) == (
        "slipway-gateway-1",
        "gateway",
        "healthy",
    )
    assert (container.restarts, container.ports, container.config_hash) == (2, {8080: "127.0.0.1"}, "h")


def test_a_container_without_healthcheck_ports_or_labels_is_read_too():
    bare = {**INSPECTED, "Config": {}, "NetworkSettings": {}, "State": {"Status": "created"}}
    container = engine.container_of(bare)
    assert (container.service, container.health, container.ports) == ("", "", {})


def test_containers_and_notebooks_are_kept_apart_and_one_off_runs_left_out(monkeypatch):
    one_off = {**INSPECTED, "Config": {"Labels": {engine.SERVICE: "hub", engine.ONE_OFF: "True"}}}
    user = {**INSPECTED, "Name": "/slipway-notebook-ada", "Config": {"Labels": {engine.OUR_ROLE: "notebook"}}}
    monkeypatch.setattr(
        engine, "_inspect", lambda _: [engine.container_of(c) for c in (INSPECTED, one_off, user)]
    )
    assert [one.name for one in engine.containers("slipway")] == ["slipway-gateway-1"]
    assert [one.name for one in engine.notebooks("slipway")] == ["slipway-notebook-ada"]


def test_image_names_are_those_the_engine_lists():
    assert engine.with_tag("postgres") == "postgres:latest"
    assert engine.with_tag("registry.example.com:5000/caddy") == "registry.example.com:5000/caddy:latest"
    assert engine.with_tag("caddy@sha256:ab") == "caddy@sha256:ab"


def test_image_ids_are_given_for_those_that_are_there(monkeypatch):
    found = '[{"Id": "sha256:1", "RepoTags": ["postgres:17.7"]}]'
    monkeypatch.setattr(engine, "ask", lambda *_: engine.Answer(1, found, "No such image: caddy:2"))
    assert engine.image_ids(["postgres:17.7", "caddy:2"]) == {"postgres:17.7": "sha256:1"}


def test_an_image_named_with_its_registrys_host_is_found_though_the_engine_lists_it_without(monkeypatch):
    def ask(command, *_):
        if "--format" in command:
            return engine.Answer(0, "sha256:1\n", "")
        return engine.Answer(0, '[{"Id": "sha256:1", "RepoTags": ["library/postgres:17.7"]}]', "")

    monkeypatch.setattr(engine, "ask", ask)
    name = "registry.example.com/library/postgres:17.7"
    assert engine.image_ids([name]) == {name: "sha256:1"}


def test_versions_are_read_as_distributions_write_them():
    for text, version in {
        "20.10.24+dfsg1": (20, 10),
        "v2.40.3": (2, 40),
        "2.26.1-4": (2, 26),
        "29": (29, 0),
    }.items():
        assert engine.version_of(text) == version
    assert engine.version_of("dev") == (0, 0)


def test_the_plan_tells_jobs_from_services_and_leaves_out_what_is_scaled_to_nought():
    plan = compose.plan_of(CONFIG)
    jobs = {service.name: service.is_job for service in plan.services}
    assert jobs == {"gateway": False, "postgres": False, "secrets": True, "notebook": True}


def test_the_plan_knows_which_images_are_built_and_which_others_made():
    plan = compose.plan_of(CONFIG)
    assert plan.built_images() == ["slipway-secrets:latest", "slipway/gateway:dev", "slipway/notebook:dev"]
    assert plan.run_as_pulled() == ["postgres:latest"]
    assert plan.pulled_images() == ["caddy:2.11.7", "debian:trixie-slim", "postgres:latest"]


def test_a_published_range_is_left_to_the_engine():
    gateway = compose.plan_of(CONFIG).services[0]
    assert gateway.ports == (8080,)


def test_the_hashes_of_compose_are_read_line_by_line():
    assert compose.parse_hashes("hub 0123\nproxy 4567\n\na line of more words\n") == {
        "hub": "0123",
        "proxy": "4567",
    }
