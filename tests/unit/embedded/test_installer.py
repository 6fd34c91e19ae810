"""What pip knows of a site's mirror is told to uv."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.embedded import installer
from infra.embedded.installer import NoRoom, environment_of_uv, pip_options, require_room


def test_every_option_that_leads_to_a_mirror_has_its_variable():
    told = environment_of_uv(
        {
            "index-url": "https://mirror.example/simple",
            "extra-index-url": "file:///a\nhttps://more.example/simple",
            "find-links": "/opt/wheels /more/wheels",
            "trusted-host": "mirror.example\nmore.example:8443",
            "cert": "/etc/company ca.pem",
            "proxy": "http://proxy.example:3128",
            "default-timeout": "180",
        },
        {},
    )
    assert told["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert told["UV_INDEX"] == "file:///a https://more.example/simple"
    assert told["UV_FIND_LINKS"] == "/opt/wheels,/more/wheels"
    assert told["UV_INSECURE_HOST"] == "mirror.example more.example:8443"
    assert told["SSL_CERT_FILE"] == "/etc/company ca.pem"
    assert told["ALL_PROXY"] == "http://proxy.example:3128"
    assert told["UV_HTTP_TIMEOUT"] == "180"


def test_a_variable_of_uvs_own_that_is_set_stays():
    told = environment_of_uv({"index-url": "https://a.example"}, {"UV_DEFAULT_INDEX": "https://b.example"})
    assert told["UV_DEFAULT_INDEX"] == "https://b.example"


def test_without_options_uv_asks_where_pip_would(tmp_path):
    assert not {"UV_DEFAULT_INDEX", "UV_INDEX", "ALL_PROXY"} & set(environment_of_uv({}, {}))


def test_pips_files_and_variables_are_read_and_variables_win(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://file.example/simple\ntimeout = 7\n"
        "[install]\nextra-index-url =\n  https://one.example\n  https://two.example\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    options = pip_options(Path(sys.executable))
    assert options["index-url"] == "https://variable.example/simple"
    assert options["timeout"] == "7"
    assert options["extra-index-url"].split() == ["https://one.example", "https://two.example"]


def test_too_little_room_is_told_with_the_folder_before_anything_is_begun(monkeypatch, tmp_path):
    monkeypatch.setattr(installer, "STATE", tmp_path)
    monkeypatch.setattr(installer, "NEEDED", 10**18)
    with pytest.raises(NoRoom) as raised:
        require_room()
    assert str(tmp_path) in raised.value.what
    assert "free at" in raised.value.what and "are needed" in raised.value.what
    assert "SLIPWAY_HOME" in raised.value.remedy
