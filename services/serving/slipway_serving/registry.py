"""What the registry says of its models' aliases and tags, and the download of one version.

Knows nothing of serving.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

ALIAS = "production"
_PAGE = 200
_PINS_SECONDS = 15


@dataclass(frozen=True)
class Target:
    """One version of one registered model.

    born tells apart a model that was deleted and registered again under its old name (ms since 1970).
    """

    name: str
    version: str
    born: int


@dataclass(frozen=True)
class Entry:
    """One registered model: versions by alias, and its tags that are ours."""

    name: str
    born: int
    aliases: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def target(self, alias: str) -> Target | None:
        version = self.aliases.get(alias)
        return None if version is None else Target(self.name, version, self.born)


class RegistryUnreachable(Exception):
    """The registry did not answer, or not with an answer; the message says how."""


class NotDownloaded(Exception):
    """A version's files are not all here; the first line of the message says why."""


class Registry(Protocol):
    def models(self) -> dict[str, Entry]:
        """Every model that has an alias, by name; raises RegistryUnreachable."""

    def tags(self, target: Target) -> dict[str, str]:
        """A version's tags that are ours; raises RegistryUnreachable."""

    def pins(self, tag: str) -> dict[tuple[str, str], str] | None:
        """A tag's value by name and version, None if it is too early to ask again."""

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
        self._pins_asked = time.monotonic()

    def models(self) -> dict[str, Entry]:
        """One request a page of models, not one a model: the search's answer carries aliases and tags."""
        return {
            model.name: Entry(
                model.name,
                int(model.creation_timestamp or 0),
                {alias: str(version) for alias, version in model.aliases.items()},
                _ours(model.tags),
            )
            for model in self._pages(self._client.search_registered_models)
            if model.aliases
        }

    def tags(self, target: Target) -> dict[str, str]:
        try:
            return _ours(self._client.get_model_version(target.name, target.version).tags)
        except Exception as error:  # the client lets requests', urllib3's and JSON errors through
            raise RegistryUnreachable(_first_line(error)) from error

    def pins(self, tag: str) -> dict[tuple[str, str], str] | None:
        """One request for all versions that have the tag, every now and then: it seldom changes."""
        if time.monotonic() - self._pins_asked < _PINS_SECONDS:
            return None
        self._pins_asked = time.monotonic()
        found = self._pages(self._client.search_model_versions, filter_string=f"tags.`{tag}` LIKE '%'")
        return {(one.name, str(one.version)): one.tags[tag] for one in found}

    def download(self, target: Target, folder: Path) -> None:
        """Pinned by version, so that an alias that moves meanwhile cannot mix two versions."""
        import mlflow.artifacts

        try:
            mlflow.artifacts.download_artifacts(
                artifact_uri=f"models:/{target.name}/{target.version}", dst_path=str(folder)
            )
        except Exception as error:
            raise NotDownloaded(why_not_downloaded(str(error)) or _first_line(error)) from error

    def _pages(self, search, **more) -> list:
        found, token = [], None
        while True:
            try:
                page = search(max_results=_PAGE, page_token=token, **more)
            except Exception as error:
                raise RegistryUnreachable(_first_line(error)) from error
            found.extend(page)
            token = page.token
            if not token:
                return found


def _ours(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in tags.items() if key.startswith("slipway.")}


def why_not_downloaded(said: str) -> str | None:
    """Of all the lines that MLflow says, the first file's own; None where it names no file."""
    match = re.search(r"##### File (.+) #####\n(.+)", said)
    return f"{match[1]} could not be fetched: {match[2]}" if match else None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else repr(error)
