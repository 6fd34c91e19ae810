"""The link that logs in who started the platform: what is written, and what the hub reads in it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.embedded import login_link

sys.path.insert(0, str(Path(__file__).parents[3] / "jupyterhub/hub"))
from slipway_hub.login_links import NotUsable, use

NOW = 1_800_000_000.0


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def test_the_hub_finds_the_user_of_a_link_that_was_made(tmp_path):
    folder = tmp_path / "für Links"
    url = login_link.make(folder, "ann", "http://localhost:8080/", NOW, seconds=60)
    assert url.startswith("http://localhost:8080/hub/one-time-login?token=")
    assert use(folder, token_of(url), NOW + 59) == "ann"


def test_it_holds_for_the_seconds_that_were_asked_for(tmp_path):
    url = login_link.make(tmp_path, "ann", "http://localhost:8080", NOW, seconds=60)
    with pytest.raises(NotUsable, match="too old"):
        use(tmp_path, token_of(url), NOW + 60)


def test_its_file_is_for_this_account_alone_and_does_not_tell_the_token(tmp_path):
    url = login_link.make(tmp_path / "links", "ann", "http://localhost:8080", NOW)
    (path,) = (tmp_path / "links").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert token_of(url) not in path.name + path.read_text()


def test_links_that_are_too_old_or_broken_are_removed_and_the_others_stay(tmp_path):
    login_link.make(tmp_path, "old", "http://localhost:8080", NOW - 1000, seconds=900)
    good = login_link.make(tmp_path, "good", "http://localhost:8080", NOW - 100, seconds=900)
    (tmp_path / "broken.json").write_text("{")
    login_link.make(tmp_path, "new", "http://localhost:8080", NOW)
    assert len(list(tmp_path.iterdir())) == 2
    assert use(tmp_path, token_of(good), NOW) == "good"
