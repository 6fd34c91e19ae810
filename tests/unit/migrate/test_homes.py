"""A home into a volume: what goes, where it goes, and what an interruption leaves.

The program is the one that runs in the notebook image, with a folder for the volume.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dockerspawner import DockerSpawner

from infra.migrate import homes
from infra.migrate.talk import python, talk


class Volume(homes.Home):
    """A folder of this machine."""

    def run(self, order, *more, feed=None):
        return talk(
            ["env", f"HOME={self.volume}", sys.executable, *python("home")[1:], order, *more], order, feed
        )

    def ensure(self):
        Path(self.volume).mkdir(exist_ok=True)

    def files(self) -> set[str]:
        found = (path for path in Path(self.volume).rglob("*") if path.is_file() or path.is_symlink())
        return {str(path.relative_to(self.volume)) for path in found} - {".from-embedded.json"}


@pytest.fixture
def home(tmp_path) -> Path:
    home = tmp_path / "homes" / "ada"
    (home / "work/closed").mkdir(parents=True)
    (home / "work/größe 1.ipynb").write_text("{}")
    (home / "work/closed/data").write_text("1")
    (home / "work/closed").chmod(0o500)
    (home / "link").symlink_to("/nowhere/at/all")
    (home / ".cache/pip").mkdir(parents=True)
    (home / ".cache/pip/wheel").write_text("big")
    (home / ".mlflow/envs").mkdir(parents=True)
    (home / ".mlflow/envs/env").symlink_to("/here/only")
    (home / ".mlflow/auth.ini").write_text("kept")
    (home / ".profile").write_text("mine")
    (home / b"not-\xff-text".decode("utf-8", "surrogateescape")).write_text("odd")
    os.mkfifo(home / "pipe")
    return home


GO = {"work/größe 1.ipynb", "work/closed/data", "link", ".mlflow/auth.ini", ".profile", "not-\udcff-text"}


@pytest.fixture
def volume(tmp_path) -> Volume:
    """As new: with the image's files only."""
    folder = tmp_path / "volume"
    folder.mkdir()
    (folder / ".profile").write_text("the image's")
    return Volume("test", "image", str(folder))


def silent(_words: str) -> None:
    """No progress is shown."""


def test_caches_and_links_into_this_machine_stay_and_all_else_goes(home):
    assert {entry.name for entry in homes.entries(home) if entry.kind != "folder"} == GO


def test_an_empty_home_takes_the_files_as_its_own(home, volume):
    assert homes.bring(volume, home, "one", silent) == "."
    assert volume.files() == GO
    assert Path(volume.volume, ".profile").read_text() == "mine"
    assert os.readlink(Path(volume.volume, "link")) == "/nowhere/at/all"


def test_in_a_home_with_files_they_come_aside_and_nothing_is_written_over(home, volume):
    Path(volume.volume, "work").mkdir()
    Path(volume.volume, "work/größe 1.ipynb").write_text("theirs")
    assert homes.bring(volume, home, "one", silent) == "from-embedded"
    assert Path(volume.volume, "work/größe 1.ipynb").read_text() == "theirs"
    assert {name for name in volume.files() if name.startswith("from-embedded/")} == {
        f"from-embedded/{name}" for name in GO
    }


def test_a_second_time_changes_nothing_even_if_the_user_has_worked_since(home, volume):
    homes.bring(volume, home, "one", silent)
    Path(volume.volume, "link").unlink()
    assert homes.bring(volume, home, "one", silent) == "."
    assert volume.files() == GO - {"link"}


def test_a_cut_off_archive_leaves_the_home_as_it_was_and_the_next_one_is_taken(home, volume, tmp_path):
    with (tmp_path / "whole.tar").open("wb") as file:
        homes.send(home, file, silent)
    whole = (tmp_path / "whole.tar").read_bytes()
    count = str(len(list(homes.entries(home))))
    for size in (0, 512, 2048, 5000):
        command = ["env", f"HOME={volume.volume}", sys.executable, *python("home")[1:], "gather", count]
        done = subprocess.run(command, input=whole[:size], capture_output=True)
        assert done.returncode != 0
        assert volume.look("one") == {"has_files": False, "brought": None, "state": "nothing"}
    assert homes.bring(volume, home, "one", silent) == "."
    assert volume.files() == GO


def test_a_move_that_was_interrupted_is_finished(home, volume):
    """As it is left by a kill between the first file that was moved and the second."""
    homes.gather(volume, home, False, silent)
    folder = Path(volume.volume)
    (folder / ".from-embedded.json").write_text(json.dumps({"under_way": "."}))
    (folder / ".from-embedded.whole/link").rename(folder / "link")
    assert homes.bring(volume, home, "one", silent) == "."
    assert volume.files() == GO


def test_what_was_gathered_before_is_not_sent_again(home, volume):
    homes.gather(volume, home, False, silent)
    before = os.stat(Path(volume.volume, ".from-embedded.whole")).st_ino
    homes.gather(volume, home, True, silent)
    assert os.stat(Path(volume.volume, ".from-embedded.whole")).st_ino == before


@pytest.mark.parametrize("user", ["ada", "a-b", "a.b@c+d", "x_y", "0-"])
def test_the_volume_is_the_one_that_the_spawner_will_look_for(user):
    assert homes.volume_of("slipway", user) == f"slipway-notebook-{DockerSpawner._escape(user)}"
