"""What the hub refuses to start with, each time in one sentence that names the thing and the remedy."""

import pytest
from pydantic import ValidationError
from slipway_hub.settings import Settings, settings_or_exit
from sqlalchemy import make_url

PROVIDER = {
    "OIDC_CLIENT_ID": "slipway",
    "OIDC_ISSUER": "https://login.example.org",
    "OIDC_ADMIN_GROUPS": "platform-admins",
}


def refusal() -> str:
    with pytest.raises(SystemExit) as stopped:
        settings_or_exit()
    assert isinstance(stopped.value.code, str), "exit code 1 and the sentence on stderr"
    return stopped.value.code


@pytest.mark.parametrize(
    "name",
    [
        "jupyterhub_db_password",
        "hub_cookie_secret",
        "hub_crypt_key",
        "hub_admin_password",
        "proxy_auth_token",
        "auth_service_token",
        "hub_operator_token",
    ],
)
def test_a_missing_secret_stops_the_hub_with_a_sentence(secrets_dir, name):
    (secrets_dir / name).unlink()
    sentence = refusal()
    assert str(secrets_dir / name) in sentence
    assert "`./slipway up` makes it" in sentence
    assert "\n" not in sentence


def test_a_wrong_secret_is_not_shown(secrets_dir):
    (secrets_dir / "hub_cookie_secret").write_text("not-hexadecimal")
    sentence = refusal()
    assert "hub_cookie_secret" in sentence
    assert "not-hexadecimal" not in sentence


def test_a_wrong_variable_is_named(secrets_dir, monkeypatch):
    monkeypatch.setenv("NOTEBOOK_MEMORY", "two gigabytes")
    assert refusal().startswith("hub: NOTEBOOK_MEMORY is wrong")


def test_any_password_reaches_the_database_whole(secrets_dir):
    url = make_url(Settings().database_url)
    assert (url.drivername, url.password) == ("postgresql+psycopg2", "p@ss/word:%")
    assert (url.username, url.host, url.port, url.database) == ("jupyterhub", "postgres", 5432, "jupyterhub")


def test_variables_set_to_nothing_are_not_set(secrets_dir, monkeypatch):
    for name in ("OIDC_CLIENT_ID", "OIDC_ISSUER", "NOTEBOOK_MEMORY", "ADMIN_USER"):
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert (settings.oidc_client_id, settings.notebook_memory, settings.admin_user) == (None, "2G", "admin")


def test_the_provider_needs_its_secret(secrets_dir, monkeypatch):
    set_all(monkeypatch, PROVIDER)
    assert "oidc_client_secret" in refusal()


def test_login_links_do_not_go_with_a_provider(secrets_dir, monkeypatch):
    (secrets_dir / "oidc_client_secret").write_text("s3cret")
    set_all(monkeypatch, {**PROVIDER, "LOGIN_LINKS_DIR": "/somewhere"})
    assert "LOGIN_LINKS_DIR and OIDC_CLIENT_ID are both set" in refusal()


def test_the_provider_needs_an_administrator(secrets_dir, monkeypatch):
    (secrets_dir / "oidc_client_secret").write_text("s3cret")
    set_all(monkeypatch, {**PROVIDER, "OIDC_ADMIN_GROUPS": ""})
    assert "OIDC_ADMIN_GROUPS or OIDC_ADMIN_USERS" in refusal()


def test_half_a_provider_is_not_taken_for_none(secrets_dir, monkeypatch):
    monkeypatch.setenv("OIDC_ISSUER", "https://login.example.org")
    assert "OIDC_CLIENT_ID" in refusal()


def test_a_whole_provider_needs_no_first_administrator(secrets_dir, monkeypatch):
    (secrets_dir / "oidc_client_secret").write_text("s3cret")
    (secrets_dir / "hub_admin_password").unlink()
    set_all(monkeypatch, {**PROVIDER, "OIDC_ALLOWED_GROUPS": "data, science ,"})
    settings = Settings()
    assert settings.oidc_allowed_groups == {"data", "science"}


def test_secrets_do_not_show_in_a_log(secrets_dir):
    with pytest.raises(ValidationError) as error:
        Settings(notebook_cpus=-1)
    for text in (repr(Settings()), repr(error.value.errors(include_input=False))):
        assert "p@ss" not in text
        assert "cdcd" not in text


def set_all(monkeypatch, variables: dict[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
