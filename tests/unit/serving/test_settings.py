"""What the environment may say, and that what is missing is named."""

import pytest
from slipway_serving.settings import Misconfigured, read_settings

SECRETS = ("gateway_secret", "mlflow_reader_token", "serving_reader_token")
URL = "postgresql+psycopg2://serving@postgres:5432/serving"


@pytest.fixture
def environment(monkeypatch, tmp_path):
    def set_to(**variables):
        for name in ("MLFLOW_TRACKING_URI", "SERVING_DATABASE_URL"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
        for name in SECRETS:
            (tmp_path / name).write_text("a-secret-long-enough\n")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return tmp_path

    return set_to


def test_the_password_comes_from_its_secret_and_shows_up_nowhere(environment):
    secrets = environment(MLFLOW_TRACKING_URI="http://mlflow:5000/mlflow", SERVING_DATABASE_URL=URL)
    (secrets / "serving_db_password").write_text("s3cret/@:\n")
    settings = read_settings()
    assert settings.database.password == "s3cret/@:"
    assert "s3cret" not in repr(settings) + str(settings.database)


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SERVING_DATABASE_URL": URL}, "MLFLOW_TRACKING_URI"),
        ({"MLFLOW_TRACKING_URI": "http://m"}, "SERVING_DATABASE_URL"),
        ({"MLFLOW_TRACKING_URI": "http://m", "SERVING_DATABASE_URL": URL}, "serving_db_password"),
        ({"MLFLOW_TRACKING_URI": "http://m", "SERVING_DATABASE_URL": "nonsense"}, "SERVING_DATABASE_URL"),
        (
            {
                "MLFLOW_TRACKING_URI": "http://m",
                "SERVING_DATABASE_URL": "sqlite:///x",
                "SERVING_POLL_SECONDS": "0",
            },
            "SERVING_POLL_SECONDS",
        ),
    ],
)
def test_what_is_missing_or_wrong_is_named_in_one_sentence(environment, variables, named):
    environment(**variables)
    with pytest.raises(Misconfigured, match=named) as caught:
        read_settings()
    assert "\n" not in str(caught.value)


def test_sqlite_needs_no_password_and_a_blank_option_is_no_option(environment):
    environment(MLFLOW_TRACKING_URI="http://m", SERVING_DATABASE_URL="sqlite:///x", SERVING_DEFAULT_MODEL="")
    assert read_settings().default_model is None


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_is_named_with_its_file(environment, name):
    secrets = environment(MLFLOW_TRACKING_URI="http://m", SERVING_DATABASE_URL="sqlite:///x")
    assert "a-secret-long-enough" not in repr(read_settings())
    (secrets / name).unlink()
    with pytest.raises(Misconfigured, match=name) as caught:
        read_settings()
    assert str(secrets / name) in str(caught.value)


def test_a_feed_of_keys_has_an_address(environment):
    environment(
        MLFLOW_TRACKING_URI="http://m", SERVING_DATABASE_URL="sqlite:///x", SERVING_KEYS_URL="auth:8000"
    )
    with pytest.raises(Misconfigured, match="SERVING_KEYS_URL"):
        read_settings()


@pytest.mark.parametrize(
    ("said", "share"), [("true", 1), ("FALSE", 0), ("", 0), ("0.05", 0.05), ("1", 1), ("on", 1)]
)
def test_the_access_log_is_a_share_and_the_old_words_still_count(environment, said, share):
    environment(MLFLOW_TRACKING_URI="http://m", SERVING_DATABASE_URL="sqlite:///x", SERVING_ACCESS_LOG=said)
    assert read_settings().access_log == share


@pytest.mark.parametrize("said", ["often", "2", "-0.1"])
def test_a_share_that_is_none_is_named(environment, said):
    environment(MLFLOW_TRACKING_URI="http://m", SERVING_DATABASE_URL="sqlite:///x", SERVING_ACCESS_LOG=said)
    with pytest.raises(Misconfigured, match="SERVING_ACCESS_LOG"):
        read_settings()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "SERVING_LOG_DESTINATION is missing"),
        ({"SERVING_LOG_DESTINATION": "predictions"}, "SERVING_LOG_DESTINATION"),
        ({"SERVING_LOG_DESTINATION": "s3://predictions"}, "predictions_s3_access_key_id"),
        ({"SERVING_LOG_DESTINATION": "/log", "S3_ENDPOINT_URL": "minio:9000"}, "S3_ENDPOINT_URL"),
    ],
)
def test_a_log_of_predictions_needs_a_place_and_for_a_bucket_a_key(environment, variables, named):
    known = {"MLFLOW_TRACKING_URI": "http://m", "SERVING_DATABASE_URL": "sqlite:///x"}
    secrets = environment(**known, SERVING_LOG_SHARE="0.1", **variables)
    with pytest.raises(Misconfigured, match=named):
        read_settings()
    for name in ("predictions_s3_access_key_id", "predictions_s3_secret_access_key"):
        (secrets / name).write_text("a-key")
    environment(**known, SERVING_LOG_DESTINATION="s3://predictions/some/where", S3_ENDPOINT_URL="")
    assert read_settings().log_secret.get_secret_value() == "a-key"
