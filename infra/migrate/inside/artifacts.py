"""Runs in the stack's MLflow container: puts files into the artifact store, and tells what is there.

    python artifacts.py digests < PATHS      one JSON string a line; answers [path, sha256] for what is there
    python artifacts.py put < TAR

A file is stored whole or not at all, and `put` writes over what is there: who calls it has compared before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

sys.path.insert(0, "/opt/slipway")
from slipway_mlflow.settings import artifacts_destination, secret

CHUNK = 1 << 20


def main(order: str) -> int:
    destination = artifacts_destination()
    store = Bucket(destination) if destination.startswith("s3://") else Repository(destination)
    if order == "put":
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            for member in archive:
                file = archive.extractfile(member)
                assert file is not None
                store.put(member.name, file)
        return 0
    for line in sys.stdin:
        path = json.loads(line)
        digest = store.digest(path)
        if digest:
            print(json.dumps([path, digest]), flush=True)
    return 0


class Bucket:
    """Files of any size flow through; nothing is kept here."""

    def __init__(self, destination: str) -> None:
        import boto3

        address = urlsplit(destination)
        self.name, self.prefix = address.netloc, address.path.strip("/")
        self.client = boto3.client(
            "s3",
            endpoint_url=os.environ.get("MLFLOW_S3_ENDPOINT_URL") or None,
            aws_access_key_id=secret("mlflow_s3_access_key_id"),
            aws_secret_access_key=secret("mlflow_s3_secret_access_key"),
        )
        self.there = set(self._keys())

    def put(self, path: str, file: IO[bytes]) -> None:
        self.client.upload_fileobj(Flow(file), self.name, self._key(path))

    def digest(self, path: str) -> str | None:
        if self._key(path) not in self.there:
            return None
        return digest_of(self.client.get_object(Bucket=self.name, Key=self._key(path))["Body"])

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def _keys(self) -> Iterator[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", []))


class Flow:
    """A file to be read once from its start to its end; boto3 asks a file whether it can be read again."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read = file.read


class Repository:
    """Any other store that MLflow knows, by its own code, which wants files: each is here for a moment."""

    def __init__(self, destination: str) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self.repository = get_artifact_repository(destination)

    def put(self, path: str, file: IO[bytes]) -> None:
        where = PurePosixPath(path)
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / where.name
            with local.open("wb") as copy:
                shutil.copyfileobj(file, copy, CHUNK)
            parent = str(where.parent) if where.parent != PurePosixPath(".") else None
            self.repository.log_artifact(str(local), parent)

    def digest(self, path: str) -> str | None:
        where = PurePosixPath(path)
        parent = str(where.parent) if where.parent != PurePosixPath(".") else None
        if path not in {entry.path for entry in self.repository.list_artifacts(parent)}:
            return None
        with (
            tempfile.TemporaryDirectory() as folder,
            open(self.repository.download_artifacts(path, folder), "rb") as file,
        ):
            return digest_of(file)


def digest_of(file: Any) -> str:
    total = hashlib.sha256()
    while chunk := file.read(CHUNK):
        total.update(chunk)
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
