"""Ports and variables of the services."""

from __future__ import annotations

import json
import socket

import pytest

from infra.embedded import services
from infra.embedded.instance import Instance
from infra.launcher.settings import settings_of


@pytest.fixture
def instance(tmp_path):
    made = Instance("slipway", tmp_path)
    made.ensure()
    return made


def test_ports_of_last_time_are_taken_again(instance):
    first = services.ports_of(instance, keep=False)
    assert len(set(first.values())) == len(services.INTERNAL_PORTS)
    instance.write_note("ports", first)
    assert services.ports_of(instance, keep=False) == first


def test_a_port_that_somebody_else_has_by_now_is_changed(instance):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        instance.write_note("ports", {"hub": number})
        assert services.ports_of(instance, keep=False)["hub"] != number
        assert services.ports_of(instance, keep=True)["hub"] == number, "it is our own that listens there"


def test_every_listener_is_this_machines_alone(instance):
    port = services.ports_of(instance, keep=False)
    wanted = services.wanted(settings_of({}), instance, port)
    assert tuple(one.name for one in wanted) == services.NAMES
    assert "0.0.0.0" not in json.dumps(services.as_note(wanted))
    assert all(one.health.startswith("http://127.0.0.1:") for one in wanted)


def test_no_secret_is_in_what_is_written_down(instance):
    port = services.ports_of(instance, keep=False)
    wanted = services.wanted(settings_of({}), instance, port)
    names = {name for one in wanted for name in one.environment}
    assert not {name for name in names if "PASSWORD" in name or "TOKEN" in name or "SECRET" in name} - {
        "SECRETS_DIR"
    }


def test_an_option_reaches_its_service_and_asks_for_a_new_start(instance):
    port = services.ports_of(instance, keep=False)
    before = services.as_note(services.wanted(settings_of({}), instance, port))
    after = services.as_note(services.wanted(settings_of({"SERVING_MAX_ROWS": "7"}), instance, port))
    assert after["serving"]["environment"]["SERVING_MAX_ROWS"] == "7"
    assert {name for name in before if before[name] != after[name]} == {"serving"}
    assert services.as_note(services.from_note(json.loads(json.dumps(after)))) == after


def test_a_changed_program_asks_for_a_new_start(tmp_path):
    (tmp_path / "app.py").write_text("one")
    before = services.digest([tmp_path])
    assert services.digest([tmp_path]) == before
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__/app.pyc").write_text("compiled")
    assert services.digest([tmp_path]) == before
    (tmp_path / "app.py").write_text("two")
    assert services.digest([tmp_path]) != before
