"""Makes the hub's package importable (it is installed in its own image only), with secrets to read."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "jupyterhub/hub"))

SECRETS = {
    "jupyterhub_db_password": "p@ss/word:%",
    "hub_cookie_secret": "ab" * 32,
    "hub_crypt_key": "cd" * 32,
    "hub_admin_password": "abcd-efgh-jkmn-pqrs",
    "proxy_auth_token": "proxy-token-of-the-test",
    "auth_service_token": "auth-token-of-the-test",
    "hub_operator_token": "operator-token-of-the-test",
}


@pytest.fixture
def secrets_dir(tmp_path, monkeypatch) -> Path:
    """Every secret of the hub, in files."""
    for name, value in SECRETS.items():
        (tmp_path / name).write_text(f"{value}\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    return tmp_path
