"""Where logged predictions go: a bucket, or a folder. Readers find model, version and day in the path.

PLACE/model=NAME/version=3/date=2026-01-31/TIME-REPLICA-NUMBER.parquet
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

from .errors import first_line
from .settings import Misconfigured, Settings

if TYPE_CHECKING:
    import pyarrow as pa

_CONNECT_SECONDS, _REQUEST_SECONDS = 5, 10


class Destination(Protocol):
    def write(self, model: str, version: str, date: str, content: pa.Buffer) -> None:
        """A new file; raises what the store says."""


class Names:
    """Names of files that no other replica gives."""

    def __init__(self) -> None:
        self._replica, self._numbers = secrets.token_hex(4), itertools.count(1)

    def new(self, model: str, version: str, date: str) -> str:
        file = f"{time.strftime('%H%M%S', time.gmtime())}-{self._replica}-{next(self._numbers)}.parquet"
        # quote() leaves dots alone, and a model may be called "..", but not "model=..".
        return f"model={quote(model, safe='')}/version={quote(version, safe='')}/date={date}/{file}"


class Folder:
    def __init__(self, folder: Path) -> None:
        self._folder, self._names = folder, Names()

    def write(self, model: str, version: str, date: str, content: pa.Buffer) -> None:
        path = self._folder / self._names.new(model, version, date)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        try:
            unfinished.write_bytes(content)
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


class Bucket:
    """S3. The key needs to put objects there, and nothing else."""

    def __init__(self, address: str, *, endpoint: str | None, region: str, key: str, secret: str) -> None:
        from pyarrow import fs

        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._root = "/".join(part for part in (bucket, prefix.strip("/")) if part)
        where: dict[str, Any] = {}
        if endpoint:
            parts = urlsplit(endpoint)
            where = {"endpoint_override": parts.netloc, "scheme": parts.scheme}
        self._files = fs.S3FileSystem(
            access_key=key,
            secret_key=secret,
            region=region,
            connect_timeout=_CONNECT_SECONDS,
            request_timeout=_REQUEST_SECONDS,
            # A file is put in one request, and asking whether the bucket is there is not ours to do.
            allow_delayed_open=True,
            background_writes=False,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=2),
            **where,
        )
        self._names = Names()

    def write(self, model: str, version: str, date: str, content: pa.Buffer) -> None:
        path = f"{self._root}/{self._names.new(model, version, date)}"
        with self._files.open_output_stream(path, compression=None) as stream:
            stream.write(content)


def destination_of(settings: Settings) -> Destination:
    """Where the settings say; raises Misconfigured where that cannot be used at all."""
    address = settings.log_destination or ""
    if not address.startswith("s3://"):
        return Folder(Path(address))
    try:
        return Bucket(
            address,
            endpoint=settings.s3_endpoint_url,
            region=settings.s3_region,
            key=settings.log_key.get_secret_value() if settings.log_key else "",
            secret=settings.log_secret.get_secret_value() if settings.log_secret else "",
        )
    except (OSError, ValueError) as error:
        raise Misconfigured(f"SERVING_LOG_DESTINATION: {first_line(error)}.") from None
