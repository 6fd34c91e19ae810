"""Prepares the object store: buckets, versioning, a key for MLflow that opens its bucket alone, and one for
serving that can do nothing but put logged predictions into theirs.

Runs at every start and changes nothing that is right already. S3_PROVISION says how much is ours to do:

- `minio`    make the buckets, and the keys through MinIO's admin API (the default);
- `buckets`  make the buckets; the store knows the keys from its own configuration;
- `none`     a store of the operator's own: touch nothing, only try MLflow's key on MLflow's bucket.

Whatever the mode, the job ends by trying the keys, so that a wrong one is found here and not by the first
person who logs an artifact.
"""

from __future__ import annotations

import io
import json
import os
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error
from minio.helpers import ObjectWriteResult
from minio.versioningconfig import ENABLED, VersioningConfig
from tenacity import retry, retry_if_exception, stop_after_delay, wait_exponential
from urllib3.exceptions import HTTPError

PREDICTIONS = "predictions"
BUCKETS = ("mlflow", "datasets", "backups", PREDICTIONS)
MODES = ("minio", "buckets", "none")
MLFLOW_KEY = ("mlflow_s3_access_key_id", "mlflow_s3_secret_access_key")
PREDICTIONS_KEY = ("predictions_s3_access_key_id", "predictions_s3_secret_access_key")


class ProvisioningError(Exception):
    """The store is not as MLflow needs it; the message says what to do."""


def main() -> int:
    try:
        store = Store.from_environment(os.environ)
        mode = os.environ.get("S3_PROVISION") or "minio"
        if mode not in MODES:
            raise ProvisioningError(f"S3_PROVISION is {mode!r}; it must be one of {', '.join(MODES)}")
        if mode != "none":
            store.ensure_buckets()
        if mode == "minio":
            store.ensure_keys()
        store.try_mlflow_key(confined=mode != "none")
        if mode != "none":
            store.try_predictions_key()
    except (ProvisioningError, MinioException, MinioAdminException, HTTPError, ValueError) as error:
        print(f"objectstore: {error}", file=sys.stderr)
        return 1
    print(f"objectstore: {store.bucket} is ready for MLflow ({mode})")
    return 0


class Store:
    """An S3 server at `endpoint` (a URL), MLflow's `bucket` and the two pairs of keys."""

    def __init__(self, endpoint: str, bucket: str, region: str, secrets: Path) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ProvisioningError(f"S3_ENDPOINT_URL is {endpoint!r}; write it as http(s)://host[:port]")
        self.address, self.secure = parts.netloc, parts.scheme == "https"
        self.bucket, self.region, self.secrets = bucket, region, secrets

    @classmethod
    def from_environment(cls, environment: os._Environ[str]) -> Store:
        return cls(
            environment.get("S3_ENDPOINT_URL") or "http://minio:9000",
            environment.get("S3_BUCKET") or "mlflow",
            environment.get("S3_REGION") or "us-east-1",
            Path(environment.get("SECRETS_DIR") or "/run/secrets"),
        )

    def secret(self, name: str) -> str:
        try:
            value = (self.secrets / name).read_text().strip()
        except OSError as error:
            raise ProvisioningError(
                f"the secret {self.secrets / name} cannot be read ({error.strerror}); "
                "`docker compose up secrets` makes it, a key of your own goes into the folder secrets/"
            ) from None
        if not value:
            raise ProvisioningError(f"the secret {self.secrets / name} is empty; write the key into it")
        return value

    def client(self, user: str, password: str) -> Minio:
        return Minio(
            self.address,
            access_key=self.secret(user),
            secret_key=self.secret(password),
            secure=self.secure,
            region=self.region,
            http_client=urllib3.PoolManager(timeout=10, retries=urllib3.Retry(total=3, backoff_factor=0.5)),
        )

    def root(self) -> Minio:
        return self.client("minio_root_user", "minio_root_password")

    def mlflow(self) -> Minio:
        return self.client(*MLFLOW_KEY)

    def ensure_buckets(self) -> None:
        root = self.root()
        for bucket in dict.fromkeys((self.bucket, *BUCKETS)):
            if not root.bucket_exists(bucket_name=bucket):
                root.make_bucket(bucket_name=bucket)
                print(f"objectstore: made the bucket {bucket}")
            if root.get_bucket_versioning(bucket_name=bucket).status != ENABLED:
                root.set_bucket_versioning(bucket_name=bucket, config=VersioningConfig(ENABLED))

    def ensure_keys(self) -> None:
        """MinIO users whose policies name one bucket each. Setting them again sets the same."""
        admin = MinioAdmin(
            endpoint=self.address,
            credentials=StaticProvider(self.secret("minio_root_user"), self.secret("minio_root_password")),
            region=self.region,
            secure=self.secure,
        )
        for name, policy, (user, password) in (
            ("mlflow-bucket", policy_for(self.bucket), MLFLOW_KEY),
            ("predictions-write", write_only(PREDICTIONS), PREDICTIONS_KEY),
        ):
            key = self.secret(user)
            admin.policy_add(policy_name=name, policy=policy)
            admin.user_add(access_key=key, secret_key=self.secret(password))
            if name not in json.loads(admin.user_info(access_key=key)).get("policyName", "").split(","):
                admin.policy_set(policy_name=name, user=key)

    def try_mlflow_key(self, *, confined: bool) -> None:
        """Writes, reads and removes an object with MLflow's key; `confined` keys must open nothing else."""
        client, name, content = self.mlflow(), f".slipway/{uuid.uuid4()}", b"slipway"
        try:
            first_write(client, self.bucket, name, content)
            with client.get_object(bucket_name=self.bucket, object_name=name) as answer:
                if answer.read() != content:
                    raise ProvisioningError(f"the bucket {self.bucket} gave back other bytes than were put")
            client.remove_object(bucket_name=self.bucket, object_name=name)
        except S3Error as error:
            raise ProvisioningError(
                f"MLflow's key cannot use the bucket {self.bucket} ({error.code}): it needs to put, get, "
                "list and delete objects there"
            ) from None
        if not confined:
            return
        for other in BUCKETS:
            if other != self.bucket and opens(client, other):
                raise ProvisioningError(
                    f"MLflow's key opens the bucket {other} too; it may open {self.bucket} alone"
                )

    def try_predictions_key(self) -> None:
        """Puts an object with serving's key, which must be able to do nothing else; root takes it away."""
        client, name = self.client(*PREDICTIONS_KEY), f".slipway/{uuid.uuid4()}"
        try:
            put = first_write(client, PREDICTIONS, name, b"slipway")
        except S3Error as error:
            raise ProvisioningError(
                f"serving's key cannot put objects into the bucket {PREDICTIONS} ({error.code})"
            ) from None
        self.root().remove_object(bucket_name=PREDICTIONS, object_name=name, version_id=put.version_id)
        if opened := [bucket for bucket in dict.fromkeys((self.bucket, *BUCKETS)) if opens(client, bucket)]:
            raise ProvisioningError(
                f"serving's key reads the bucket {opened[0]}; it may only put objects into {PREDICTIONS}"
            )


def key_may_still_spread(error: BaseException) -> bool:
    """A key that was made a moment ago is not known to every part of a store at once."""
    return isinstance(error, S3Error) and error.code in ("InvalidAccessKeyId", "AccessDenied")


@retry(
    retry=retry_if_exception(key_may_still_spread),
    wait=wait_exponential(0.2, max=3),
    stop=stop_after_delay(20),
    reraise=True,
)
def first_write(client: Minio, bucket: str, name: str, content: bytes) -> ObjectWriteResult:
    return client.put_object(
        bucket_name=bucket, object_name=name, data=io.BytesIO(content), length=len(content)
    )


def opens(client: Minio, bucket: str) -> bool:
    try:
        next(client.list_objects(bucket_name=bucket), None)
    except S3Error as error:
        if error.code == "AccessDenied":
            return False
        raise
    return True


def policy_for(bucket: str) -> dict:
    """What MLflow's S3 artifact repository does, on one bucket."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
                "Resource": [f"arn:aws:s3:::{bucket}"],
            },
            {
                "Effect": "Allow",
                "Action": [
                    "s3:GetObject",
                    "s3:PutObject",
                    "s3:DeleteObject",
                    "s3:AbortMultipartUpload",
                    "s3:ListMultipartUploadParts",
                ],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            },
        ],
    }


def write_only(bucket: str) -> dict:
    """Putting objects into one bucket: neither reading nor listing nor removing them."""
    actions = ["s3:PutObject", "s3:AbortMultipartUpload"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


if __name__ == "__main__":
    sys.exit(main())
