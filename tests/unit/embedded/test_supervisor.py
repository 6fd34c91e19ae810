"""What the supervisor is told, and what is understood of its answers."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from infra.embedded import supervisor, up
from infra.embedded.instance import Instance
from infra.embedded.services import Service
from infra.embedded.supervisor import Child
from infra.launcher.services import FAILED, WAITING, WORKING


def test_its_configuration_names_each_service_and_no_path_of_the_machine():
    text = supervisor.configuration(["hub", "mlflow"])
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    assert {"program:hub", "program:mlflow", "supervisord", "unix_http_server"} <= set(parser.sections())
    assert parser["program:hub"]["autorestart"] == "true"
    paths = re.findall(r"= *(/\S+)", text)
    assert [path for path in paths if not path.startswith("/proc/self/")] == []


def test_services_do_not_inherit_what_an_account_has_set_for_itself():
    current = {
        "HOME": "/home/ada",
        "LANG": "C.UTF-8",
        "https_proxy": "http://proxy:3128",
        "NO_PROXY": "intranet",
        "PATH": "/usr/bin",
        "PYTHONPATH": "/home/ada/lib",
        "VIRTUAL_ENV": "/home/ada/venv",
        "MLFLOW_TRACKING_URI": "https://elsewhere",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "SLIPWAY_SERVICE": "hub",
    }
    given = supervisor.environment_of_supervisor(Instance("slipway", Path("/i")), Path("/venv"), current)
    assert given["HOME"] == "/home/ada"
    assert given["https_proxy"] == "http://proxy:3128"
    assert given["no_proxy"] == "intranet,localhost,127.0.0.1"
    assert given["PATH"] == "/venv/bin:/usr/bin"
    assert given["SLIPWAY_INSTANCE"] == "/i"
    assert not {"MLFLOW_TRACKING_URI", "AWS_SECRET_ACCESS_KEY", "VIRTUAL_ENV", "SLIPWAY_SERVICE"} & set(given)
    assert "ada" not in given["PYTHONPATH"]


SERVICE = Service("hub", ("true",), "/", {}, "http://127.0.0.1:9/", "")


@pytest.mark.parametrize(
    ("child", "phase"),
    [
        (None, WAITING),
        (Child("hub", "FATAL", 0, 0, "Exited too quickly"), FAILED),
        (Child("hub", "STOPPED", 0, 0, ""), FAILED),
        (Child("hub", "BACKOFF", 0, 0, ""), WORKING),
        (Child("hub", "RUNNING", 7, 1, ""), WORKING),
    ],
)
def test_a_service_is_well_only_when_it_answers(child, phase):
    assert up.judge(SERVICE, child)[0] == phase


def test_no_supervisor_is_no_answer(tmp_path):
    instance = Instance("slipway", tmp_path / "never started")
    assert supervisor.children(instance) is None
    assert supervisor.pid(instance) is None
    assert supervisor.shut_down(instance) is False
