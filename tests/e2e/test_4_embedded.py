"""The platform without Docker, as whoever started it meets it: the link, the commands, what listens."""

from __future__ import annotations

import json
import socket

import psutil
import pytest
from playwright.sync_api import expect

from infra.embedded.services import NAMES
from tests.e2e import people

WAYS = ("embedded",)


@pytest.fixture
def visitor(chromium, platform):
    """A browser that has never been here."""
    context = chromium.new_context(base_url=platform.url)
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@pytest.mark.browser
def test_the_link_logs_the_administrator_in_once(platform, installation, visitor):
    link = installation.up()
    visitor.goto(link)
    expect(visitor).to_have_url(f"{platform.url}/")
    expect(visitor.locator("body")).to_contain_text(platform.admin)
    visitor.goto("/mlflow/")
    expect(visitor.get_by_text("Experiments").first).to_be_visible()
    people.start_server(visitor, platform.admin)

    again = platform.get(link.removeprefix(platform.url))
    assert again.status_code == 403
    assert "./slipway up" in again.text
    assert installation.up() != link


def test_up_when_it_is_up_changes_nothing(installation):
    before = installation.supervisor(), installation.services()
    said = installation.slipway("up").stdout
    assert "already running" in said
    assert (installation.supervisor(), installation.services()) == before


def test_status_names_every_service_and_what_memory_it_takes(installation):
    shown = json.loads(installation.slipway("status", "--json").stdout)
    assert shown["ok"]
    assert {one["service"] for one in shown["services"]} == set(NAMES)
    assert all(one["phase"] == "well" and one["memory_bytes"] > 2**20 for one in shown["services"])
    table = installation.slipway("status").stdout
    assert all(name in table for name in NAMES)


def test_logs_are_told_by_service(installation):
    assert "JupyterHub" in installation.slipway("logs", "hub").stdout
    refused = installation.slipway("logs", "nonsense", check=False)
    assert refused.returncode == 2
    assert all(name in refused.stderr for name in NAMES)


def test_the_doctor_finds_nothing_wrong(installation):
    assert installation.slipway("doctor").returncode == 0


def test_everything_listens_on_this_machine_alone(installation):
    found = {
        (number, connection.laddr.ip)
        for number in installation.processes()
        for connection in psutil.Process(number).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
        or (connection.type == socket.SOCK_DGRAM and not connection.raddr)
    }
    assert found
    assert {address for _, address in found} == {"127.0.0.1"}
