"""What the door-keeper is told by its environment and its secret files, checked once at start."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRETS = ("auth_service_token", "gateway_secret", "api_key_signing_seed", "auth_db_password")


class FromEnvironment(BaseSettings):
    """Variables from the environment, secrets from their files."""

    model_config = SettingsConfigDict(extra="ignore")

    def __init__(self, **values: object) -> None:
        super().__init__(_secrets_dir=secrets_dir() if secrets_dir().is_dir() else None, **values)


class Settings(FromEnvironment):
    public_url: str = "http://localhost:8080"
    """The address people type, without a path: where browsers are sent, and what same-origin means."""
    hub_api_url: str = "http://hub:8081/hub/api"
    auth_service_token: SecretStr = Field(min_length=16)
    """The token by which the hub knows this service; it is also the OAuth client's secret."""
    auth_cache_seconds: int = Field(default=60, ge=0)
    """How long an answer of the hub is believed; bounds how long a session that was ended lives on."""
    auth_host: str = "0.0.0.0"  # noqa: S104 (a container's own network; the gateway is the door)
    auth_port: int = Field(default=8000, ge=0, le=65535)

    @field_validator("public_url", "hub_api_url")
    @classmethod
    def an_http_address(cls, value: str) -> str:
        HttpUrl(value)
        return value.rstrip("/")

    @property
    def public_origin(self) -> str:
        """Scheme, host and port as browsers write them in Origin, e.g. `https://slipway.example.org`."""
        url = HttpUrl(self.public_url)
        standard = {"http": 80, "https": 443}[url.scheme]
        return f"{url.scheme}://{url.host}" + ("" if url.port == standard else f":{url.port}")

    @property
    def secure_cookies(self) -> bool:
        return urlsplit(self.public_url).scheme == "https"


def secrets_dir() -> Path:
    return Path(os.environ.get("SECRETS_DIR", "/run/secrets"))


def explain(error: ValidationError) -> str:
    """One sentence: which variable or secret is wrong, and what to do."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if name in SECRETS:
        return (
            f"the secret {secrets_dir() / name} is missing or not as it was made; "
            "`./slipway up` makes it, and so does the job `secrets` of the Compose stack."
        )
    return f"{name.upper()} is wrong ({first['msg']}); correct it in .env and start again."
