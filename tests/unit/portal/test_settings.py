"""What the portal makes of its environment."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from slipway_portal.settings import Settings, explain


def test_an_empty_environment_means_the_compose_stack(monkeypatch):
    monkeypatch.delenv("PUBLIC_URL", raising=False)
    settings = Settings()
    assert settings.public_url == "http://localhost:8080"
    assert settings.hub_health_url == "http://proxy:8000/hub/health"
    assert settings.serving_url == "http://serving:8000"


def test_addresses_lose_their_last_slash_and_blanks_mean_the_default(monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "https://ml.example.com/")
    monkeypatch.setenv("PORTAL_SERVING_URL", "")
    settings = Settings()
    assert settings.public_url == "https://ml.example.com"
    assert settings.serving_url == "http://serving:8000"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PUBLIC_URL", "ml.example.com"),
        ("PORTAL_HUB_HEALTH_URL", "ftp://hub"),
        ("PORTAL_CHECK_SECONDS", "0"),
        ("PORTAL_PORT", "eighty"),
    ],
)
def test_a_wrong_value_is_explained_by_its_variable(monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert explain(caught.value).startswith(f"{variable} is wrong (")


@pytest.mark.parametrize("name", ["gateway_secret", "serving_reader_token"])
def test_a_missing_secret_is_named_with_its_file(secrets, name):
    (secrets / name).unlink()
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert str(secrets / name) in explain(caught.value)
