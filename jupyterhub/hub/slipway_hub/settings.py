"""What the hub is told by its environment and its secret files, checked once at start."""

from __future__ import annotations

import os
import sys
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote

from pydantic import (
    BeforeValidator,
    Field,
    HttpUrl,
    Secret,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

DOCKER_NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"


def names(value: str | frozenset[str]) -> frozenset[str]:
    if isinstance(value, str):
        return frozenset(name.strip() for name in value.split(",") if name.strip())
    return value


Names = Annotated[frozenset[str], NoDecode, BeforeValidator(names)]
"""Names with commas between them."""

HexKey = Secret[Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]]
"""32 bytes as hexadecimal digits."""


class Settings(BaseSettings):
    # A variable that is set to nothing (as .env and Compose do) is one that is not set.
    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True)

    public_url: str = "http://localhost:8080"
    """The address people type, without a path."""

    # Where the hub listens, where notebooks and the proxy find it, and where it finds the proxy.
    hub_bind_url: str = "http://0.0.0.0:8081"
    hub_connect_url: str = "http://hub:8081"
    proxy_api_url: str = "http://proxy:8001"
    proxy_auth_token: SecretStr = Field(min_length=16)
    hub_config_dir: Path = Path("/srv/jupyterhub/config.d")
    """JupyterHub configuration of the site's own: *.py, read last, in the order of their names."""

    hub_db_host: str = "postgres"
    hub_db_port: int = Field(default=5432, gt=0, le=65535)
    hub_db_name: str = "jupyterhub"
    hub_db_user: str = "jupyterhub"
    jupyterhub_db_password: SecretStr | None = Field(default=None, min_length=1)
    hub_db_url: SecretStr | None = None
    """Any SQLAlchemy address, in place of the five above."""

    hub_cookie_secret: HexKey
    hub_crypt_key: HexKey
    auth_service_token: SecretStr = Field(min_length=16)
    hub_operator_token: SecretStr = Field(min_length=16)
    """What `./slipway users` speaks with (users.py)."""

    admin_user: str = Field(default="admin", pattern=r"^[a-z0-9][a-z0-9._@+-]{0,63}$")
    hub_admin_password: SecretStr | None = Field(default=None, min_length=10)
    signups_per_hour: int = Field(default=20, gt=0)
    """From one address; from all together ten times as many."""
    login_links_dir: Path | None = None
    """Where one-time login links are (login_links.py). Not set: there is no such way to log in."""

    notebook_image: str = "slipway/notebook:dev"
    notebook_subnets: IPv4Network = IPv4Network("10.213.0.0/16")
    """Where the networks of notebook servers are made (networks.py)."""
    notebook_internet: bool = False
    """Whether notebooks reach the Internet, by the proxy `egress`."""
    notebook_name_prefix: str = Field(default="slipway", pattern=DOCKER_NAME)
    notebook_memory: str = Field(default="2G", pattern=r"^[0-9]+(\.[0-9]+)?[KMGT]$")
    notebook_cpus: float = Field(default=1, gt=0)
    notebook_idle_seconds: int = Field(default=3600, ge=0)
    """How long an unused notebook server lives; 0 for ever."""
    gateway_url: str = "http://gateway:8081"
    """Where notebooks reach the rest of the platform."""

    oidc_client_id: str | None = None
    """Set: people log in at the company's OpenID Connect provider. Not set: accounts are the hub's own."""
    oidc_client_secret: SecretStr | None = None
    oidc_issuer: str | None = None
    oidc_authorize_url: str | None = None
    oidc_token_url: str | None = None
    oidc_userdata_url: str | None = None
    oidc_scopes: Names = frozenset({"openid", "profile", "email"})
    oidc_username_claim: str = "preferred_username"
    oidc_groups_claim: str = "groups"
    oidc_allowed_groups: Names = frozenset()
    oidc_admin_groups: Names = frozenset()
    oidc_admin_users: Names = frozenset()
    oidc_label: str = "your company account"
    oidc_logout: Literal["hub", "provider"] = "hub"
    """Where logging out ends a session: here alone, or at the provider as well."""

    def __init__(self, **values: object) -> None:
        super().__init__(_secrets_dir=secrets_dir() if secrets_dir().is_dir() else None, **values)

    @field_validator("public_url", "hub_connect_url", "proxy_api_url", "gateway_url")
    @classmethod
    def an_http_address(cls, value: str) -> str:
        HttpUrl(value)
        return value.rstrip("/")

    @field_validator("notebook_subnets")
    @classmethod
    def room_for_one(cls, value: IPv4Network) -> IPv4Network:
        if value.prefixlen > 28:
            raise ValueError(f"{value} is too small; a notebook server's network takes a /28")
        return value

    @model_validator(mode="after")
    def whole(self) -> Settings:
        """What must be there depends on which database and which accounts were chosen."""
        if self.hub_db_url is None and self.jupyterhub_db_password is None:
            raise ValueError(missing_secret("jupyterhub_db_password"))
        if self.oidc_client_id is None:
            if self.oidc_issuer or self.oidc_authorize_url or self.oidc_token_url:
                raise ValueError(
                    "OIDC_CLIENT_ID is not set but other OIDC settings are; set it or remove them"
                )
            if self.hub_admin_password is None:
                raise ValueError(missing_secret("hub_admin_password"))
            return self
        if self.login_links_dir is not None:
            raise ValueError(
                "LOGIN_LINKS_DIR and OIDC_CLIENT_ID are both set, and links are for the hub's own accounts; "
                "remove one of them"
            )
        if self.oidc_client_secret is None:
            path = secrets_dir() / "oidc_client_secret"
            raise ValueError(
                f"OIDC_CLIENT_ID is set but there is no secret {path}; "
                "write your provider's client secret into secrets/oidc_client_secret"
            )
        if not self.oidc_issuer and not (
            self.oidc_authorize_url and self.oidc_token_url and self.oidc_userdata_url
        ):
            raise ValueError(
                "OIDC_CLIENT_ID is set but not where the provider is; set OIDC_ISSUER, "
                "or OIDC_AUTHORIZE_URL, OIDC_TOKEN_URL and OIDC_USERDATA_URL"
            )
        if not self.oidc_admin_groups and not self.oidc_admin_users:
            raise ValueError("nobody would be an administrator; set OIDC_ADMIN_GROUPS or OIDC_ADMIN_USERS")
        return self

    @property
    def database_url(self) -> str:
        if self.hub_db_url is not None:
            return self.hub_db_url.get_secret_value()
        password = quote(self.jupyterhub_db_password.get_secret_value(), safe="")
        where = f"{self.hub_db_host}:{self.hub_db_port}/{quote(self.hub_db_name, safe='')}"
        return f"postgresql+psycopg2://{quote(self.hub_db_user, safe='')}:{password}@{where}"


def settings_or_exit() -> Settings:
    """The settings, or one sentence on stderr and exit 1."""
    try:
        return Settings()
    except ValidationError as error:
        sys.exit(f"hub: {explain(error)}")


def explain(error: ValidationError) -> str:
    """One sentence: which variable or secret is wrong, and what to do. Never shows a value."""
    first = error.errors(include_input=False)[0]
    if not first["loc"]:
        return f"{first['ctx']['error']}."
    name = str(first["loc"][0])
    if name in SECRETS:
        return f"{missing_secret(name)}."
    return f"{name.upper()} is wrong ({first['msg']}); correct it in .env and start again."


SECRETS = {
    "jupyterhub_db_password",
    "hub_cookie_secret",
    "hub_crypt_key",
    "hub_admin_password",
    "proxy_auth_token",
    "auth_service_token",
    "hub_operator_token",
    "oidc_client_secret",
}


def missing_secret(name: str) -> str:
    return (
        f"the secret {secrets_dir() / name} is missing or not what it should be; "
        "`./slipway up` makes it, and so does the job `secrets` of the Compose stack"
    )


def secrets_dir() -> Path:
    return Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
