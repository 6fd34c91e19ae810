"""What the registry says is in Production, and the download of one version. Knows nothing of serving."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ALIAS = "production"
_PAGE = 200


@dataclass(frozen=True)
class Target:
    """One version of one registered model.

    born tells apart a model that was deleted and registered again under its old name (ms since 1970).
    """

    name: str
    version: str
    born: int


class RegistryUnreachable(Exception):
    """The registry did not answer, or not with an answer; the message says how."""


class Registry(Protocol):
    def production(self) -> dict[str, Target]:
        """Every model that has the alias, by name; raises RegistryUnreachable."""

    def download(self, target: Target, folder: Path) -> None:
        """Write the version's model files into an existing empty folder."""


class MlflowRegistry:
    """The registry of an MLflow tracking server."""

    def __init__(self, tracking_uri: str, token: str):
        # Where MLflow's client looks for it, in this process alone.
        os.environ["MLFLOW_TRACKING_TOKEN"] = token
        # A look that fails is simply repeated at the next poll: retries inside the client would only make
        # the loop blind for minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        mlflow.set_tracking_uri(tracking_uri)
        mlflow.set_registry_uri(tracking_uri)
        self._client = mlflow.MlflowClient(tracking_uri, registry_uri=tracking_uri)

    def production(self) -> dict[str, Target]:
        """One request a page of models, not one a model: the search's answer carries the aliases."""
        found: dict[str, Target] = {}
        token: str | None = None
        while True:
            try:
                page = self._client.search_registered_models(max_results=_PAGE, page_token=token)
            except Exception as error:  # the client lets requests', urllib3's and JSON errors through
                raise RegistryUnreachable(
                    str(error).splitlines()[0] if str(error) else repr(error)
                ) from error
            for model in page:
                version = model.aliases.get(ALIAS)
                if version is not None:
                    found[model.name] = Target(model.name, str(version), int(model.creation_timestamp or 0))
            token = page.token
            if not token:
                return found

    def download(self, target: Target, folder: Path) -> None:
        """Pinned by version, so that an alias that moves meanwhile cannot mix two versions."""
        import mlflow.artifacts

        mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{target.name}/{target.version}", dst_path=str(folder)
        )
