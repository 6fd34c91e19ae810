"""What is chosen by .env and the environment, and what is said of a wrong choice."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.launcher import settings
from infra.launcher.problem import PRECONDITION, Problem

ROOT = Path(__file__).parents[3]


def test_without_anything_set_the_defaults_of_the_example_hold():
    chosen = settings.settings_of({})
    assert (chosen.project, chosen.bind_address) == ("slipway", "127.0.0.1")
    assert (chosen.http_port, chosen.https_port, chosen.admin_user) == (8080, 8443, "admin")
    assert chosen.public_url == "http://localhost:8080"


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({"HTTP_PORT": "9000"}, "http://localhost:9000"),
        ({"SITE_ADDRESS": "ml.example.com", "HTTP_PORT": "80"}, "https://ml.example.com"),
        ({"PUBLIC_URL": "https://a.example.com/", "SITE_ADDRESS": "b.example.com"}, "https://a.example.com"),
        ({"PUBLIC_URL": "", "SITE_ADDRESS": ""}, "http://localhost:8080"),
    ],
)
def test_the_public_address_follows_from_the_most_precise_option(values, url):
    assert settings.settings_of(values).public_url == url


def test_the_environment_wins_over_dotenv(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("HTTP_PORT=9000\nCOMPOSE_PROJECT_NAME=mine\n")
    monkeypatch.setattr(settings, "DOTENV", tmp_path / ".env")
    chosen = settings.load({"HTTP_PORT": "9001"})
    assert (chosen.http_port, chosen.project) == (9001, "mine")


@pytest.mark.parametrize("text", ["abc", "0", "65536", "80.5", "-1", "٨٠"])
def test_a_port_that_is_none_names_the_variable_and_an_example(text):
    with pytest.raises(Problem, match="HTTP_PORT is") as caught:
        settings.settings_of({"HTTP_PORT": text})
    assert "HTTP_PORT=8080" in caught.value.remedy
    assert caught.value.status == PRECONDITION


def test_two_ports_that_are_the_same_are_refused():
    with pytest.raises(Problem, match="HTTP_PORT and HTTPS_PORT are both 8443"):
        settings.settings_of({"HTTP_PORT": "8443"})


def test_a_project_name_that_compose_would_refuse_is_refused_first():
    with pytest.raises(Problem, match="COMPOSE_PROJECT_NAME"):
        settings.settings_of({"COMPOSE_PROJECT_NAME": "My Stack"})


def test_a_provider_without_client_or_secret_is_named_value_by_value():
    wrong = settings.missing_companions({"OIDC_ISSUER": "https://login.example.com"}, frozenset())
    assert len(wrong) == 1 and "OIDC_CLIENT_ID is missing" in wrong[0]
    both = {"OIDC_ISSUER": "https://login.example.com", "OIDC_CLIENT_ID": "slipway"}
    assert "secrets/oidc_client_secret" in settings.missing_companions(both, frozenset())[0]
    assert settings.missing_companions(both, frozenset({"oidc_client_secret"})) == []


def test_a_store_of_ones_own_needs_its_address_and_both_keys():
    wrong = " ".join(settings.missing_companions({"S3_PROVISION": "none"}, frozenset()))
    assert "S3_ENDPOINT_URL" in wrong
    assert "secrets/mlflow_s3_access_key_id" in wrong
    assert "secrets/mlflow_s3_secret_access_key" in wrong


def test_a_slip_of_the_pen_is_pointed_at_and_what_the_example_lists_is_not():
    example = (ROOT / ".env.example").read_text()
    said = settings.unknown_options({"HTPP_PORT": "1", "HTTP_PORT": "2", "ADMIN_USER": "x"}, example)
    assert len(said) == 1 and "did you mean HTTP_PORT?" in said[0]


def test_every_option_the_launcher_reads_is_in_the_example():
    example = (ROOT / ".env.example").read_text()
    names = (
        "COMPOSE_PROJECT_NAME",
        "HTTP_PORT",
        "HTTPS_PORT",
        "BIND_ADDRESS",
        "SITE_ADDRESS",
        "PUBLIC_URL",
        "ADMIN_USER",
    )
    assert settings.unknown_options(dict.fromkeys(names, ""), example) == []
