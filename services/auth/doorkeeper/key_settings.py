"""What issuing API keys takes, checked once at start. Where AUTH_DATABASE_URL is not set, none are issued."""

from __future__ import annotations

import os
import re

from pydantic import Field, HttpUrl, SecretStr, ValidationInfo, field_validator
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from doorkeeper.settings import FromEnvironment

BACKENDS = ("postgresql", "sqlite")


class KeySettings(FromEnvironment):
    auth_database_url: str
    """`postgresql+psycopg2://auth@postgres:5432/auth` or `sqlite:////path/keys.db`."""
    auth_db_password: SecretStr | None = Field(default=None, validate_default=True)
    api_key_signing_seed: SecretStr
    """64 hexadecimal digits. With another seed every key that was ever made is refused."""
    gateway_secret: SecretStr = Field(min_length=16)
    """What makes MLflow believe on whose behalf it is asked."""
    auth_mlflow_url: str = "http://mlflow:5000/mlflow"
    """Asked who may manage which registered model."""

    @field_validator("auth_mlflow_url")
    @classmethod
    def an_http_address(cls, value: str) -> str:
        HttpUrl(value)
        return value.rstrip("/")

    @field_validator("api_key_signing_seed")
    @classmethod
    def a_seed(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[0-9a-fA-F]{64}", value.get_secret_value()):
            raise ValueError("it is not 64 hexadecimal digits")
        return value

    @field_validator("auth_database_url")
    @classmethod
    def a_database(cls, value: str) -> str:
        try:
            backend = make_url(value).get_backend_name()
        except ArgumentError:
            backend = ""
        if backend not in BACKENDS:
            raise ValueError("write postgresql+psycopg2://auth@postgres:5432/auth or sqlite:////path/keys.db")
        return value

    @field_validator("auth_db_password")
    @classmethod
    def a_password_where_one_is_needed(
        cls, value: SecretStr | None, info: ValidationInfo
    ) -> SecretStr | None:
        if value is None and make_url(info.data.get("auth_database_url", "sqlite://")).host:
            raise ValueError("it is missing")
        return value

    @property
    def database(self) -> URL:
        """The keys' database, its password filled in from the secret."""
        url = make_url(self.auth_database_url)
        if url.host and self.auth_db_password is not None:
            url = url.set(password=self.auth_db_password.get_secret_value())
        return url


def read_key_settings() -> KeySettings | None:
    """None where no keys are issued; raises ValidationError for what is wrong or missing."""
    return KeySettings() if os.environ.get("AUTH_DATABASE_URL") else None
