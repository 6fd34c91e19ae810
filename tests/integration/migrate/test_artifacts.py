"""Files into the artifact store, by the program that runs in MLflow's container; the store is a folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.migrate import artifacts
from infra.migrate.talk import python, talk

REPOSITORY = Path(__file__).parents[3]
FILES = {
    "1/run/artifacts/ünï/dé.txt": b"h\xc3\xa9llo",
    "1/models/m-1/artifacts/big": bytes(3_000_000),
    "empty": b"",
}


@pytest.fixture
def files(taken) -> dict[str, str]:
    """Digests by path of what is in the embedded folder."""
    for path, content in FILES.items():
        file = taken.artifacts / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return artifacts.digests(taken, lambda _words: None)


@pytest.fixture
def command(tmp_path):
    settings = [f"ARTIFACTS_DESTINATION={tmp_path}/store", f"PYTHONPATH={REPOSITORY}/services/mlflow"]
    return lambda order: ["env", *settings, sys.executable, *python("artifacts")[1:], order]


def digests(command, paths) -> dict[str, str]:
    asked = "".join(json.dumps(path) + "\n" for path in paths).encode()
    lines = talk(command("digests"), "digests", feed=lambda pipe: pipe.write(asked)).splitlines()
    return dict(json.loads(line) for line in lines)


def test_every_file_arrives_with_its_digest(taken, files, command):
    assert set(files) == set(FILES)
    assert digests(command, files) == {}
    talk(
        command("put"), "put", feed=lambda pipe: artifacts.send(taken, list(files), pipe, lambda _words: None)
    )
    assert digests(command, files) == files


def test_one_file_with_two_names_is_two_artifacts(taken, files, command):
    (taken.artifacts / "second").hardlink_to(taken.artifacts / "1/models/m-1/artifacts/big")
    files = artifacts.digests(taken, lambda _words: None)
    talk(
        command("put"), "put", feed=lambda pipe: artifacts.send(taken, list(files), pipe, lambda _words: None)
    )
    (taken.artifacts / "second").unlink()
    assert digests(command, files) == files


def test_a_file_that_was_cut_off_is_not_stored(taken, files, command, tmp_path):
    with (tmp_path / "whole.tar").open("wb") as archive:
        artifacts.send(taken, ["empty", "1/models/m-1/artifacts/big"], archive, lambda _words: None)
    cut = (tmp_path / "whole.tar").read_bytes()[:2_000_000]
    done = subprocess.run(command("put"), input=cut, capture_output=True, timeout=120)
    assert done.returncode != 0
    assert set(digests(command, files)) == {"empty"}
