"""What the server is told by its environment, read once and nowhere else in the package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

SECRETS = {
    "gateway_secret": "gateway_secret",
    "mlflow_reader_token": "mlflow_reader_token",
    "reader_token": "serving_reader_token",
}
"""The file of each setting that comes from one alone."""

# Compose hands an option that was left out of .env over as an empty string.
BlankIsNone = BeforeValidator(lambda value: value or None)


def _share(value: Any) -> Any:
    """A number from 0 to 1; true and false are all and none."""
    words = {"true": 1, "yes": 1, "on": 1, "false": 0, "no": 0, "off": 0, "": 0}
    return words.get(value.strip().lower(), value) if isinstance(value, str) else value


class Settings(BaseSettings):
    """Environment variables are these names with SERVING_ in front, save those that have an alias."""

    model_config = SettingsConfigDict(env_prefix="SERVING_", extra="ignore")

    mlflow_tracking_uri: str = Field(validation_alias="MLFLOW_TRACKING_URI", min_length=1)
    database_url: str = Field(min_length=1)
    db_password: SecretStr | None = None
    keys_url: str = Field(default="http://auth:8000/auth/internal/keys", pattern="^https?://")
    keys_poll_seconds: float = Field(default=2, gt=0)
    gateway_secret: SecretStr = Field(validation_alias="gateway_secret", min_length=16)
    mlflow_reader_token: SecretStr = Field(validation_alias="mlflow_reader_token", min_length=16)
    reader_token: SecretStr = Field(min_length=16)
    """The secret serving_reader_token, by which services of ours ask what is live."""
    secrets_dir: Path = Field(default=Path("/run/secrets"), validation_alias="SECRETS_DIR")

    host: str = "127.0.0.1"
    port: int = 8000
    root_path: str = ""
    cache_dir: Path = Path("/var/cache/serving")
    default_model: Annotated[str | None, BlankIsNone] = None

    poll_seconds: float = Field(default=2, gt=0)
    retry_seconds: float = Field(default=5, gt=0)
    retry_max_seconds: float = Field(default=300, gt=0)
    flush_seconds: float = Field(default=5, gt=0)
    grace_seconds: int = Field(default=20, ge=1)
    """For what is under way when the server is stopped, after drain_seconds."""
    start_seconds: float = Field(default=60, ge=0)
    """At most, before it listens, for what the registry wants to be loaded: a gateway then finds it ready."""
    drain_seconds: float = Field(default=2, ge=0)
    """Between /ready that says no and the end of listening: gateways look in between."""
    keep_alive_seconds: int = Field(default=75, ge=1)
    """Longer than a gateway keeps an idle connection: it must not send into one that is being closed."""

    max_versions: int = Field(default=5, ge=1)
    """Of one model, loaded because aliases point at them; the one before Production comes on top."""
    prepare_seconds: float = Field(default=30, ge=0)
    """At most, for finding a version's fastest runtime; 0 for MLflow's own without a look."""
    threads: int = Field(default=1, ge=1)
    """For one prediction, in runtimes that can use more than one."""
    max_rows: int = Field(default=10_000, ge=1)
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1)
    workers: int = Field(default=min(4, os.cpu_count() or 1), ge=1)
    """Threads that one version of a model predicts with."""
    max_pending: int = Field(default=256, ge=1)
    max_pending_per_caller: int = Field(default=128, ge=1)
    request_seconds: float = Field(default=30, gt=0)
    """For an answer; a call that takes longer counts as one that hangs."""
    body_seconds: float = Field(default=30, gt=0)
    """For a request's body to be here, and for some of an answer to be read."""

    log_level: str = "INFO"
    access_log: Annotated[float, BeforeValidator(_share)] = Field(default=0, ge=0, le=1)
    """The share of requests that the log has a line for; errors always, unless it is 0."""

    log_share: float = Field(default=0, ge=0, le=1)
    """Of answered requests, whose inputs and predictions are kept as Parquet files; 0 for none."""
    log_destination: Annotated[str | None, BlankIsNone] = Field(
        default=None, pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/.*)?|/.*)$"
    )
    """s3://bucket/prefix, or the absolute path of a folder."""
    log_rows_per_second: float = Field(default=1000, gt=0)
    log_flush_seconds: float = Field(default=60, gt=0)
    s3_endpoint_url: Annotated[str | None, BlankIsNone] = Field(
        default=None, validation_alias="S3_ENDPOINT_URL", pattern="^https?://"
    )
    """Amazon's where it is missing."""
    s3_region: str = Field(default="us-east-1", validation_alias="S3_REGION", min_length=1)
    log_key: SecretStr | None = Field(default=None, validation_alias="predictions_s3_access_key_id")
    log_secret: SecretStr | None = Field(default=None, validation_alias="predictions_s3_secret_access_key")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return sources["init_settings"], sources["env_settings"], sources["file_secret_settings"]

    @property
    def database(self) -> URL:
        """The visitors' database, its password filled in from the secret."""
        url = make_url(self.database_url)
        if self.db_password is not None and url.host:
            url = url.set(password=self.db_password.get_secret_value())
        return url


class Misconfigured(Exception):
    """The environment cannot be used; the message is one sentence that names the variable or file."""


def read_settings() -> Settings:
    """Settings from the environment and the secrets' folder; raises Misconfigured."""
    folder = Path(os.environ.get("SECRETS_DIR") or "/run/secrets")
    try:
        settings = Settings(_secrets_dir=folder if folder.is_dir() else None)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name in SECRETS:
            raise _secret_missing(folder / SECRETS[name]) from None
        variable = name if name.isupper() else f"SERVING_{name.upper()}"
        raise Misconfigured(f"{variable}: {first['msg']}.") from None
    try:
        url = settings.database
    except ArgumentError:
        raise Misconfigured(
            "SERVING_DATABASE_URL is not a database address: write"
            " postgresql+psycopg2://serving@postgres:5432/serving or sqlite:////path/visitors.db."
        ) from None
    if url.host and not url.password:
        raise _secret_missing(folder / "serving_db_password")
    _check_log(settings, folder)
    return settings


def _check_log(settings: Settings, folder: Path) -> None:
    if not settings.log_share:
        return
    if settings.log_destination is None:
        raise Misconfigured(
            "SERVING_LOG_SHARE is set, but SERVING_LOG_DESTINATION is missing: write s3://bucket/prefix or"
            " the path of a folder."
        )
    if settings.log_destination.startswith("s3://"):
        if settings.log_key is None:
            raise _secret_missing(folder / "predictions_s3_access_key_id")
        if settings.log_secret is None:
            raise _secret_missing(folder / "predictions_s3_secret_access_key")


def _secret_missing(path: Path) -> Misconfigured:
    return Misconfigured(
        f"The secret {path} is missing or too short: `./slipway up` makes it, and so does the"
        " job `secrets` of the Compose stack."
    )
