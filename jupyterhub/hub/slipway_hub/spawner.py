"""One container, one network and one volume for each user's notebook server. What runs inside is the image's
business.
"""

from __future__ import annotations

from typing import Any

from slipway_hub.settings import Settings

HOME = "/home/jovyan"

# Compose labels the images it builds, and a container inherits its image's labels: without this a user's
# server would pass for the service `notebook` of the stack.
NOT_OF_COMPOSE = {"com.docker.compose.project": "", "com.docker.compose.service": ""}


def configure(c: Any, settings: Settings) -> None:
    """The engine is reached by DOCKER_HOST, else by /var/run/docker.sock. It, or the gate before it
    (services/dockergate), is asked for no more than what is here.
    """
    c.Spawner.environment = environment(settings)
    c.Spawner.default_url = "/lab"
    # A slow disk or a first import of everything is not a failure.
    c.Spawner.start_timeout = 120
    c.Spawner.http_timeout = 60

    labels = {"slipway.project": settings.notebook_name_prefix, "slipway.role": "notebook"}
    # By its name: where notebooks are processes there is no DockerSpawner.
    c.JupyterHub.spawner_class = "slipway_hub.notebook_server.NotebookServer"
    c.NotebookServer.settings = settings
    spawner = c.DockerSpawner
    spawner.image = settings.notebook_image
    spawner.pull_policy = "never"
    # On its network a server meets the gateway, which leads to the hub.
    spawner.hub_connect_url = settings.gateway_url
    spawner.use_internal_ip = True
    spawner.prefix = settings.notebook_name_prefix
    # {username} is escaped by DockerSpawner: two names never meet in one container or volume.
    spawner.name_template = "{prefix}-notebook-{username}"
    spawner.mounts = [
        {"type": "volume", "source": "{prefix}-notebook-{username}", "target": HOME, "labels": labels},
        # Without a name it ends with the container. Memory would be too small for what goes through /tmp:
        # packages being installed, artifacts being logged.
        {"type": "volume", "source": "", "target": "/tmp", "labels": {**labels, "slipway.role": "scratch"}},  # noqa: S108
    ]
    spawner.remove = True
    spawner.mem_limit = settings.notebook_memory
    spawner.cpu_limit = settings.notebook_cpus
    spawner.extra_create_kwargs = {"user": "1000:1000", "labels": {**labels, **NOT_OF_COMPOSE}}
    spawner.extra_host_config = {
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": 1000,
        "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "3"}},
        # Names of its network are answered by the engine; all others would be asked of the machine's own
        # resolver, which is a way out. Nothing answers them here, and soon.
        "dns": ["127.0.0.1"],
        "dns_search": ["."],
        "dns_opt": ["timeout:1", "attempts:2"],
    }


def environment(settings: Settings) -> dict[str, Any]:
    """What makes `mlflow.start_run()` work in a first cell, as the person whose notebook it is."""
    return {
        "MLFLOW_TRACKING_URI": f"{settings.gateway_url}/mlflow",
        "MLFLOW_TRACKING_TOKEN": lambda spawner: spawner.api_token,
        # MLflow's own experiment `Default` belongs to nobody.
        "MLFLOW_EXPERIMENT_NAME": lambda spawner: f"scratch-{spawner.user.name}",
        "LOGNAME": lambda spawner: spawner.user.name,
        "USER": lambda spawner: spawner.user.name,
        "SLIPWAY_URL": settings.public_url,
        "SLIPWAY_SERVING_URL": f"{settings.gateway_url}/serving",
    }
