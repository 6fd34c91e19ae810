"""What the portal is told by its environment and its secret files, checked once at start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict


def _an_http_address(value: str) -> str:
    HttpUrl(value)
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_an_http_address)]


SECRETS = ("gateway_secret", "serving_reader_token")


class Settings(BaseSettings):
    """Environment variables are these names with PORTAL_ in front, save PUBLIC_URL."""

    model_config = SettingsConfigDict(env_prefix="PORTAL_", env_ignore_empty=True, extra="ignore")

    public_url: Address = Field(default="http://localhost:8080", validation_alias="PUBLIC_URL")
    """The address people type, without a path: what the example on the page calls."""

    gateway_secret: SecretStr = Field(min_length=16, validation_alias="gateway_secret")
    """Only together with it does the gateway's word count of who is asking."""
    serving_reader_token: SecretStr = Field(min_length=16, validation_alias="serving_reader_token")
    """With it serving tells what is live."""

    hub_health_url: Address = "http://proxy:8000/hub/health"
    """Through the hub's proxy, as people reach it."""
    mlflow_health_url: Address = "http://mlflow:5000/mlflow/health"
    auth_health_url: Address = "http://auth:8000/auth/health"
    serving_url: Address = "http://serving:8000"
    """Without a path: /ready, /models and /visitors are asked."""

    check_seconds: float = Field(default=5, gt=0)
    """The pause between two rounds of checks."""
    timeout_seconds: float = Field(default=3, gt=0)
    """After how long without an answer a service counts as down."""

    host: str = "0.0.0.0"  # noqa: S104 (a container's own network; the gateway is the door)
    port: int = Field(default=8000, ge=1, le=65535)

    def __init__(self, **values: object) -> None:
        super().__init__(_secrets_dir=secrets_dir() if secrets_dir().is_dir() else None, **values)


def secrets_dir() -> Path:
    return Path(os.environ.get("SECRETS_DIR") or "/run/secrets")


def explain(error: ValidationError) -> str:
    """One sentence: which variable or secret is wrong, and what to do."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if name in SECRETS:
        return (
            f"the secret {secrets_dir() / name} is missing or too short; "
            "`./slipway up` makes it, and so does the job `secrets` of the Compose stack."
        )
    variable = name if name.isupper() else f"PORTAL_{name.upper()}"
    return f"{variable} is wrong ({first['msg']}); correct it and start again."
