"""Virtual environments, and what is said where they cannot be made."""

from __future__ import annotations

import sys

import pytest

from infra.launcher.problem import Problem
from infra.launcher.progress import Screen
from infra.launcher.pythons import NoVenvModule, find_python, follow, make_venv, pip

# What Debian's Python says without python3-venv.
WITHOUT_VENV = """\
#!/bin/sh
case "$*" in
  *version_info*) echo 3.12 ;;
  *) echo "The virtual environment was not created because ensurepip is not available."; exit 1 ;;
esac
"""


def test_this_python_is_taken_when_it_is_new_enough():
    assert find_python() == sys.executable


def test_an_environment_replaces_what_was_there(tmp_path):
    folder = tmp_path / "ein Ordner ü"
    folder.mkdir()
    (folder / "half-made").write_text("")
    make_venv(sys.executable, folder, "--without-pip")
    assert (folder / "bin/python").exists()
    assert not (folder / "half-made").exists()


def test_a_python_without_ensurepip_names_the_package_to_install(tmp_path):
    python = tmp_path / "python"
    python.write_text(WITHOUT_VENV)
    python.chmod(0o755)
    with pytest.raises(NoVenvModule) as raised:
        make_venv(str(python), tmp_path / "venv")
    assert "apt-get install python3.12-venv" in raised.value.remedy


def test_an_installation_that_fails_shows_the_end_of_what_was_said(tmp_path):
    python = tmp_path / "venv/bin/python"
    make_venv(sys.executable, tmp_path / "venv")
    with pytest.raises(Problem) as raised:
        follow([*pip(python), "install", "--no-index", "no-such-package"], tmp_path / "log", Screen())
    assert "no-such-package" in raised.value.what
    assert "no-such-package" in (tmp_path / "log").read_text()
