"""The options the launcher itself needs, from the environment and .env, parsed once. The rest is Compose's to
read.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from infra.launcher import dotenv
from infra.launcher.paths import DOTENV, EXAMPLE
from infra.launcher.problem import PRECONDITION, Problem


class Settings(NamedTuple):
    """What was chosen, with the defaults of .env.example."""

    project: str
    bind_address: str
    http_port: int
    https_port: int
    public_url: str
    """Where people find the platform; without a slash at the end."""
    admin_user: str
    values: Mapping[str, str]
    """Everything in .env and in the environment; the environment wins, as in Compose."""
    offline_images: Mapping[str, str]
    """The marked block of .env; empty if there is none."""


def load(environment: Mapping[str, str] = os.environ) -> Settings:
    """Reads .env beside compose.yaml. A Problem names the variable that is wrong."""
    text = dotenv.read(DOTENV)
    return settings_of({**dotenv.parse(text, environment), **environment}, dotenv.block_of(text))


def settings_of(values: Mapping[str, str], offline_images: Mapping[str, str] = {}) -> Settings:
    """Turns names and texts into settings. An empty value counts as not set, as `${NAME:-default}` does."""
    project = values.get("COMPOSE_PROJECT_NAME") or "slipway"
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", project):
        raise Problem(
            f"COMPOSE_PROJECT_NAME is {project!r}; Compose takes small letters, digits, - and _ only.",
            "Change it in .env or in the environment.",
            PRECONDITION,
        )
    http, https = port(values, "HTTP_PORT", 8080), port(values, "HTTPS_PORT", 8443)
    if http == https:
        raise Problem(
            f"HTTP_PORT and HTTPS_PORT are both {http}.",
            "Give one of them another number in .env.",
            PRECONDITION,
        )
    return Settings(
        project=project,
        bind_address=values.get("BIND_ADDRESS") or "127.0.0.1",
        http_port=http,
        https_port=https,
        public_url=public_url(values, http),
        admin_user=values.get("ADMIN_USER") or "admin",
        values=values,
        offline_images=offline_images,
    )


def port(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
        raise Problem(
            f"{name} is {text!r}; it must be a port number from 1 to 65535.",
            f"Change it in .env or in the environment, for example {name}={default}.",
            PRECONDITION,
        )
    return int(text)


def public_url(values: Mapping[str, str], http_port: int) -> str:
    """PUBLIC_URL, else https://SITE_ADDRESS, else this machine."""
    if values.get("PUBLIC_URL"):
        return values["PUBLIC_URL"].rstrip("/")
    if values.get("SITE_ADDRESS"):
        return f"https://{values['SITE_ADDRESS']}".rstrip("/")
    return f"http://localhost:{http_port}"


def missing_companions(values: Mapping[str, str], secrets: frozenset[str]) -> list[str]:
    """Options that are set without another they need; `secrets` are the files the operator put into
    secrets/.
    """
    wrong = []
    if values.get("OIDC_ISSUER") and not values.get("OIDC_CLIENT_ID"):
        wrong.append(
            "OIDC_ISSUER is set, but OIDC_CLIENT_ID is missing: the name your provider knows Slipway by."
        )
    if values.get("OIDC_CLIENT_ID") and not values.get("OIDC_ISSUER"):
        wrong.append("OIDC_CLIENT_ID is set, but OIDC_ISSUER is missing: the address of your provider.")
    if values.get("OIDC_CLIENT_ID") and "oidc_client_secret" not in secrets:
        wrong.append("OIDC_CLIENT_ID is set, but the file secrets/oidc_client_secret is missing.")
    if values.get("S3_PROVISION") == "none":
        if not values.get("S3_ENDPOINT_URL"):
            wrong.append(
                "S3_PROVISION=none is set, but S3_ENDPOINT_URL is missing: the address of your own S3 store."
            )
        for name in ("mlflow_s3_access_key_id", "mlflow_s3_secret_access_key"):
            if name not in secrets:
                wrong.append(f"S3_PROVISION=none is set, but the file secrets/{name} is missing.")
    return wrong


def unknown_options(written: Mapping[str, str], example: str) -> list[str]:
    """A sentence for each name in .env that .env.example does not list: probably a slip of the pen."""
    known = set(re.findall(r"^#?([A-Z][A-Z0-9_]*)=", example, re.MULTILINE))
    known |= {"COMPOSE_FILE", "COMPOSE_PROFILES", "COMPOSE_PATH_SEPARATOR", "COMPOSE_PARALLEL_LIMIT"}
    sentences = []
    for name in written:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {near[0]}?" if near else "; .env.example lists the options."
            sentences.append(f"{name} in .env is not an option of Slipway{meant}")
    return sentences


def unknown_options_here() -> list[str]:
    """The same for this checkout."""
    example = dotenv.read(EXAMPLE)
    return unknown_options(dotenv.parse(dotenv.outside_of(dotenv.read(DOTENV))), example) if example else []
