"""A user's notebook server as a container on a network of its own. What it is made of is in spawner.py."""

from __future__ import annotations

import asyncio
from typing import Any

from dockerspawner import DockerSpawner
from traitlets import Instance, default

from slipway_hub.networks import ServerNetworks
from slipway_hub.settings import Settings

WAY_OUT = "http://egress:3128"


class NotebookServer(DockerSpawner):
    """The network is made before the container and removed after it."""

    settings = Instance(Settings, config=True)
    _networks: ServerNetworks | None = None

    @property
    def networks(self) -> ServerNetworks:
        """One for all servers, as the client of the engine is."""
        cls = NotebookServer
        if cls._networks is None:
            cls._networks = ServerNetworks(self.settings)
        return cls._networks

    @default("object_name")
    def _object_name_default(self) -> str:
        """A named server has a container of its own beside the user's first; `--` is in no escaped name."""
        of_user = super()._object_name_default()
        return f"{of_user}--{self.template_namespace()['servername']}" if self.name else of_user

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.networks.keep()

    def get_env(self) -> dict[str, str]:
        found = super().get_env()
        return {**way_out(), **found} if self.settings.notebook_internet else found

    async def start(self) -> tuple[str, int]:
        self.network_name = name = self.object_name
        self.networks.keep()
        try:
            await asyncio.to_thread(self.networks.make, name)
            return await super().start()
        finally:
            await asyncio.to_thread(self.networks.started, name)

    async def stop(self, now: bool = False) -> None:
        await super().stop(now)
        await asyncio.to_thread(self.networks.remove, self.object_name)


def way_out() -> dict[str, str]:
    """Programs differ in which of these they read."""
    lower = {"http_proxy": WAY_OUT, "https_proxy": WAY_OUT, "no_proxy": "gateway,localhost,127.0.0.1"}
    return {**lower, **{name.upper(): value for name, value in lower.items()}}
