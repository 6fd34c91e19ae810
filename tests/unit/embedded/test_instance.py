"""Names and folders of an embedded platform."""

from __future__ import annotations

import re

import pytest

from infra.embedded.instance import Instance, administrator, fitting_name

HUB_RULE = r"[a-z0-9][a-z0-9._@+-]{0,63}"


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ("ada", "ada"),
        ("Ada.Lovelace", "ada.lovelace"),
        ("DOMAIN\\ada", "domainada"),
        ("Jürgen Groß", "jurgengro"),
        ("_www", "www"),
        ("ноутбук", "admin"),
        ("", "admin"),
        ("x" * 80, "x" * 64),
    ],
)
def test_an_accounts_name_is_made_to_fit_the_hub(account, name):
    assert fitting_name(account) == name
    assert re.fullmatch(HUB_RULE, name)


def test_the_administrator_can_be_named():
    assert administrator({"ADMIN_USER": "grace"}) == "grace"


def test_a_new_instance_is_for_its_account_alone(tmp_path):
    instance = Instance("slipway", tmp_path / "Ein Ordner mit Ümläuten")
    assert not instance.exists()
    instance.ensure()
    instance.ensure()
    assert instance.exists()
    assert instance.folder.stat().st_mode & 0o077 == 0


def test_a_note_that_was_cut_short_is_no_note(tmp_path):
    instance = Instance("slipway", tmp_path)
    instance.ensure()
    instance.write_note("ports", {"hub": 1})
    assert instance.note("ports") == {"hub": 1}
    (instance.run / "ports.json").write_text('{"hub":')
    assert instance.note("ports") is None
    assert instance.note("never written") is None
