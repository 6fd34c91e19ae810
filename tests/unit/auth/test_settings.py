"""What the door-keeper refuses to start with, and what it makes of its address."""

import pytest
from doorkeeper.settings import Settings, explain
from pydantic import ValidationError


@pytest.fixture
def secret(tmp_path, monkeypatch):
    (tmp_path / "auth_service_token").write_text("a-token-long-enough\n")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))


def test_a_missing_secret_is_said_in_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "nothing"))
    with pytest.raises(ValidationError) as refused:
        Settings()
    sentence = explain(refused.value)
    assert str(tmp_path / "nothing" / "auth_service_token") in sentence
    assert sentence.count("\n") == 0


def test_a_wrong_address_names_its_variable(secret, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", "slipway.example.org")
    with pytest.raises(ValidationError) as refused:
        Settings()
    assert explain(refused.value).startswith("PUBLIC_URL is wrong")


@pytest.mark.parametrize(
    ("url", "origin", "secure"),
    [
        ("http://localhost:8080", "http://localhost:8080", False),
        ("https://slipway.example.org/", "https://slipway.example.org", True),
        ("https://Slipway.example.org:443", "https://slipway.example.org", True),
        ("https://slipway.example.org:8443", "https://slipway.example.org:8443", True),
        ("http://slipway.lan:80/", "http://slipway.lan", False),
    ],
)
def test_the_origin_is_written_as_browsers_write_it(secret, monkeypatch, url, origin, secure):
    monkeypatch.setenv("PUBLIC_URL", url)
    settings = Settings()
    assert settings.public_origin == origin
    assert settings.secure_cookies is secure


def test_the_secret_is_not_shown(secret):
    assert "long-enough" not in repr(Settings())


def test_an_ended_session_is_believed_for_no_more_than_a_minute(secret):
    assert Settings().auth_cache_seconds <= 60
