"""The services of an embedded platform: the very programs of compose.yaml, with other variables. The order is
that of compose.yaml: the door, then the applications.
"""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infra.embedded import environment
from infra.embedded.instance import Instance, administrator
from infra.launcher import ports
from infra.launcher.paths import ROOT
from infra.launcher.settings import Settings

NAMES = ("gateway", "auth", "portal", "proxy", "hub", "mlflow", "serving")
INTERNAL_PORTS = ("notebooks", "auth", "portal", "proxy", "proxy_api", "hub", "mlflow", "serving")
HOST = "127.0.0.1"

# Whose change asks for a new start.
SOURCES = {
    "gateway": ["services/gateway"],
    "auth": ["services/auth"],
    "portal": ["services/portal"],
    "proxy": [],
    "hub": ["jupyterhub/hub", "infra/embedded/hub.d", "jupyterhub/singleuser"],
    "mlflow": ["services/mlflow"],
    "serving": ["services/serving"],
}


class Service(NamedTuple):
    name: str
    command: tuple[str, ...]
    folder: str
    """The working folder."""
    environment: Mapping[str, str]
    """Its own variables; those that all get are the supervisor's (supervisor.py)."""
    health: str
    """An address that answers below 400 when it is well."""
    sources: str
    """A digest of its programs."""


def as_note(services: Iterable[Service]) -> dict[str, Any]:
    """As run/services.json keeps them."""
    return {one.name: {**one._asdict(), "command": list(one.command)} for one in services}


def from_note(note: Mapping[str, Any]) -> list[Service]:
    return [Service(**{**one, "command": tuple(one["command"])}) for one in note.values()]


def ports_of(instance: Instance, keep: bool) -> dict[str, int]:
    """A port for each listener inside; those of last time if they are free, or with `keep` in any case."""
    old = instance.note("ports") or {}
    chosen: dict[str, int] = {}
    for name in INTERNAL_PORTS:
        number = old.get(name)
        good = number and number not in chosen.values() and (keep or ports.look(HOST, number) == ports.FREE)
        chosen[name] = number if good else free_port(set(chosen.values()))
    return chosen


def free_port(but: set[int]) -> int:
    while True:
        with socket.socket() as listener:
            listener.bind((HOST, 0))
            number: int = listener.getsockname()[1]
        if number not in but:
            return number


def wanted(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> list[Service]:
    """All services for these options."""
    every = {
        "gateway": gateway(chosen, instance, port),
        "auth": auth(chosen, instance, port),
        "portal": portal(chosen, instance, port),
        "proxy": proxy(instance, port),
        "hub": hub(chosen, instance, port),
        "mlflow": mlflow(chosen, instance, port),
        "serving": serving(chosen, instance, port),
    }
    return [
        Service(name, *every[name], sources=digest([ROOT / folder for folder in SOURCES[name]]))
        for name in NAMES
    ]


Parts = tuple
"""command, folder, environment, health"""


def gateway(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    config = str(ROOT / "services/gateway/Caddyfile")
    variables = {
        **secrets(instance, "gateway"),
        "SITE_ADDRESS": f"http://:{chosen.http_port}",
        "NOTEBOOKS_ADDRESS": f"http://:{port['notebooks']}",
        "GATEWAY_BIND": HOST,
        "XDG_DATA_HOME": str(instance.run / "caddy"),
        "XDG_CONFIG_HOME": str(instance.run / "caddy"),
        **{
            f"{name.upper()}_UPSTREAM": f"{HOST}:{port[name]}"
            for name in ("proxy", "auth", "mlflow", "portal")
        },
        "SERVING_UPSTREAM_HOST": HOST,
        "SERVING_UPSTREAM_PORT": str(port["serving"]),
    }
    command = (program("caddy"), "run", "--config", config, "--adapter", "caddyfile")
    return command, str(instance.run), variables, f"http://{HOST}:{port['notebooks']}/gateway/health"


def auth(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    variables = {
        **code("services/auth"),
        **secrets(instance, "auth"),
        "PUBLIC_URL": chosen.public_url,
        "HUB_API_URL": f"http://{HOST}:{port['hub']}/hub/api",
        "AUTH_DATABASE_URL": sqlite(instance.data / "auth/keys.db"),
        "AUTH_MLFLOW_URL": f"http://{HOST}:{port['mlflow']}/mlflow",
        "AUTH_HOST": HOST,
        "AUTH_PORT": str(port["auth"]),
    }
    return module("doorkeeper"), str(instance.run), variables, f"http://{HOST}:{port['auth']}/auth/health"


def portal(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    variables = {
        **code("services/portal"),
        **secrets(instance, "portal"),
        "PUBLIC_URL": chosen.public_url,
        "PORTAL_HOST": HOST,
        "PORTAL_PORT": str(port["portal"]),
        "PORTAL_HUB_HEALTH_URL": f"http://{HOST}:{port['proxy']}/hub/health",
        "PORTAL_MLFLOW_HEALTH_URL": f"http://{HOST}:{port['mlflow']}/mlflow/health",
        "PORTAL_AUTH_HEALTH_URL": f"http://{HOST}:{port['auth']}/auth/health",
        "PORTAL_SERVING_URL": f"http://{HOST}:{port['serving']}",
    }
    health = f"http://{HOST}:{port['portal']}/portal/health"
    return module("slipway_portal"), str(instance.run), variables, health


def proxy(instance: Instance, port: Mapping[str, int]) -> Parts:
    variables = {
        **routes(instance),
        "PLATFORM_ENV": str(environment.PLATFORM),
        "PROXY_IP": HOST,
        "PROXY_PORT": str(port["proxy"]),
        "PROXY_API_IP": HOST,
        "PROXY_API_PORT": str(port["proxy_api"]),
    }
    # It has no page of its own for that: the hub's, through it.
    health = f"http://{HOST}:{port['proxy']}/hub/health"
    return module("infra.embedded.hub_proxy"), str(instance.run), variables, health


def hub(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    variables = {
        **code("jupyterhub/hub"),
        **secrets(instance, "hub"),
        **routes(instance),
        **options(chosen, "NOTEBOOK_IDLE_SECONDS", "SIGNUPS_PER_HOUR"),
        "PUBLIC_URL": chosen.public_url,
        "ADMIN_USER": administrator(chosen.values),
        "HUB_DB_URL": sqlite(instance.data / "hub/jupyterhub.sqlite"),
        "HUB_BIND_URL": f"http://{HOST}:{port['hub']}",
        "HUB_CONNECT_URL": f"http://{HOST}:{port['hub']}",
        "PROXY_API_URL": f"http://{HOST}:{port['proxy_api']}",
        "GATEWAY_URL": f"http://{HOST}:{port['notebooks']}",
        "HUB_CONFIG_DIR": str(ROOT / "infra/embedded/hub.d"),
        "LOGIN_LINKS_DIR": str(instance.login_links),
        "NOTEBOOK_HOMES": str(instance.homes),
        "NOTEBOOK_HOME_TEMPLATE": str(environment.TEMPLATE),
        "NOTEBOOK_PYTHON_ENV": str(environment.NOTEBOOK),
        "PLATFORM_ENV": str(environment.PLATFORM),
    }
    command = (program("jupyterhub"), "--config", str(ROOT / "jupyterhub/hub/jupyterhub_config.py"))
    return command, str(instance.data / "hub"), variables, f"http://{HOST}:{port['hub']}/hub/ready"


def mlflow(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    own = f"http://localhost:{chosen.http_port},http://{HOST}:{chosen.http_port}"
    variables = {
        **code("services/mlflow"),
        **secrets(instance, "mlflow"),
        "BACKEND_STORE_URI": sqlite(instance.data / "mlflow/mlflow.db"),
        "AUTH_DATABASE_URI": sqlite(instance.data / "mlflow/auth.db"),
        "ARTIFACTS_DESTINATION": str(instance.data / "mlflow/artifacts"),
        "MLFLOW_HOST": HOST,
        "MLFLOW_PORT": str(port["mlflow"]),
        "MLFLOW_STATIC_PREFIX": "/mlflow",
        # SQLite takes one writer at a time.
        "MLFLOW_WORKERS": chosen.values.get("MLFLOW_WORKERS") or "1",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost,localhost:*,127.0.0.1,127.0.0.1:*",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": own,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Else every look of serving and of the portal is a line in the log.
        "MLFLOW_UVICORN_OPTS": "--no-access-log",
        "MLFLOW_ONE_PROCESS": "1",
    }
    command = (*module("slipway_mlflow"), "serve")
    health = f"http://{HOST}:{port['mlflow']}/mlflow/health"
    return command, str(instance.data / "mlflow"), variables, health


def serving(chosen: Settings, instance: Instance, port: Mapping[str, int]) -> Parts:
    variables = {
        **code("services/serving"),
        **secrets(instance, "serving"),
        **options(
            chosen,
            "SERVING_DEFAULT_MODEL",
            "SERVING_POLL_SECONDS",
            "SERVING_MAX_BODY_BYTES",
            "SERVING_MAX_ROWS",
            "SERVING_MAX_PENDING",
            "SERVING_MAX_PENDING_PER_CALLER",
            "SERVING_REQUEST_SECONDS",
            "SERVING_BODY_SECONDS",
            "SERVING_DRAIN_SECONDS",
            "SERVING_MAX_VERSIONS",
            "SERVING_PREPARE_SECONDS",
            "SERVING_START_SECONDS",
            "SERVING_ACCESS_LOG",
            "SERVING_LOG_SHARE",
            "SERVING_LOG_ROWS_PER_SECOND",
            "SERVING_LOG_FLUSH_SECONDS",
        ),
        "SERVING_LOG_DESTINATION": str(instance.data / "serving/predictions"),
        "MLFLOW_TRACKING_URI": f"http://{HOST}:{port['mlflow']}/mlflow",
        "SERVING_KEYS_URL": f"http://{HOST}:{port['auth']}/auth/internal/keys",
        "SERVING_DATABASE_URL": sqlite(instance.data / "serving/visitors.db"),
        "SERVING_CACHE_DIR": str(instance.data / "serving/cache"),
        "SERVING_HOST": HOST,
        "SERVING_PORT": str(port["serving"]),
        "SERVING_ROOT_PATH": "/serving",
        # Artifacts come through MLflow, as in the stack; its workers are threads already.
        "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "2",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    health = f"http://{HOST}:{port['serving']}/ready"
    return module("slipway_serving"), str(instance.run), variables, health


def program(name: str) -> str:
    return str(environment.PLATFORM / "bin" / name)


def module(name: str) -> tuple[str, ...]:
    return (str(environment.python()), "-m", name)


def code(folder: str) -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT / folder)}


def secrets(instance: Instance, consumer: str) -> dict[str, str]:
    return {"SECRETS_DIR": str(instance.secrets / consumer)}


def routes(instance: Instance) -> dict[str, str]:
    """The hub writes this file, and its proxy reads it."""
    return {"PROXY_ROUTES": str(instance.run / "routes.toml")}


def options(chosen: Settings, *names: str) -> dict[str, str]:
    """Those of .env.example that were set; the others have their defaults in the service."""
    return {name: chosen.values[name] for name in names if chosen.values.get(name)}


def sqlite(path: Path) -> str:
    return f"sqlite:///{path}"


def digest(folders: Sequence[Path]) -> str:
    total = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                total.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
