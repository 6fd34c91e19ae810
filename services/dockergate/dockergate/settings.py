"""What the gate is told by its environment, checked once at start. It has no secrets."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

IMAGE_NAME = re.compile(r"[a-z0-9][a-zA-Z0-9_.:/@-]*")


def names(value: str | frozenset[str]) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(name.strip() for name in value.split(",") if name.strip())
    return value


class Settings(BaseSettings):
    # A variable that is set to nothing (as .env and Compose do) is one that is not set.
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    notebook_name_prefix: str = Field(default="slipway", pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
    """The Compose project: the hub has no business with containers of another."""
    notebook_images: Annotated[frozenset[str], NoDecode, BeforeValidator(names)] = frozenset(
        {"slipway/notebook:dev"}
    )
    """The images that users' servers may run, as the hub names them; several with commas."""
    notebook_subnets: ipaddress.IPv4Network = ipaddress.IPv4Network("10.213.0.0/16")
    """Where the networks of users' servers lie."""
    docker_socket: Path = Path("/var/run/docker.sock")
    dockergate_host: str = "0.0.0.0"  # noqa: S104 (a network that it shares with the hub alone)
    dockergate_port: int = Field(default=2375, ge=0, le=65535)

    @field_validator("notebook_images")
    @classmethod
    def names_of_images(cls, value: frozenset[str]) -> frozenset[str]:
        wrong = [name for name in sorted(value) if not IMAGE_NAME.fullmatch(name) or ".." in name]
        if wrong or not value:
            raise ValueError(f"{', '.join(wrong) or 'nothing'} is no name of an image")
        return value

    @property
    def names_begin_with(self) -> str:
        return f"{self.notebook_name_prefix}-notebook-"


def explain(error: ValidationError) -> str:
    """One sentence: which variable is wrong, and what to do."""
    first = error.errors()[0]
    return f"{str(first['loc'][0]).upper()} is wrong ({first['msg']}); correct it in .env and start again."
