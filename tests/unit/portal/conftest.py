"""Makes the portal's package importable as its image does, and gives it its secrets."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "services/portal"))

GATEWAY_SECRET = "the-gateways-own-secret"


@pytest.fixture(autouse=True)
def secrets(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "gateway_secret").write_text(f"{GATEWAY_SECRET}\n")
    (folder / "serving_reader_token").write_text("the-token-that-only-reads\n")
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    return folder
