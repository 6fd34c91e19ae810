"""Starts SeaweedFS (`weed`) as the platform's S3 store, and asks the running one whether it keeps an object.

    store.py start         reads the keys from /run/secrets, then becomes `weed`
    store.py healthcheck   puts an object, gets it back and compares; exit 1 with a sentence if that fails

`weed` takes keys from a file only; it is written into a folder in memory. Standard library only.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

SECRETS = Path(os.environ.get("SECRETS_DIR", "/run/secrets"))
ROOT = ("minio_root_user", "minio_root_password")
MLFLOW = ("mlflow_s3_access_key_id", "mlflow_s3_secret_access_key")
PREDICTIONS = ("predictions_s3_access_key_id", "predictions_s3_secret_access_key")
PREDICTIONS_BUCKET = "predictions"
PORT = int(os.environ.get("S3_PORT", "9000"))
REGION = "us-east-1"
PROBE_BUCKET = "healthcheck"


class StoreError(Exception):
    """What is wrong and what to do about it, in one sentence."""


def main() -> int:
    try:
        if sys.argv[1:] == ["start"]:
            start(os.environ.get("DATA_DIR", "/data"), os.environ.get("S3_BUCKET") or "mlflow")
        elif sys.argv[1:] == ["healthcheck"]:
            keeps_an_object(secret(ROOT[0]), secret(ROOT[1]))
        else:
            raise StoreError("say `start` or `healthcheck`")
    except (StoreError, OSError, http.client.HTTPException) as error:
        print(f"seaweedfs: {error}", file=sys.stderr)
        return 1
    return 0


def secret(name: str) -> str:
    """The secret's text; a StoreError names the file if it is missing or empty."""
    try:
        value = (SECRETS / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StoreError(
            f"the secret {SECRETS / name} cannot be read ({error.strerror}); `docker compose up secrets` "
            f"makes it"
        ) from None
    if not value:
        raise StoreError(f"the secret {SECRETS / name} is empty; write the key into it")
    return value


def start(data: str, bucket: str) -> None:
    """Becomes `weed`; comes back only with an error."""
    identities = identities_for(
        bucket, *([secret(name) for name in pair] for pair in (ROOT, MLFLOW, PREDICTIONS))
    )
    if not os.access(data, os.W_OK):
        raise StoreError(
            f"{data} cannot be written by user {os.geteuid()}; give the volume to it: chown -R {os.geteuid()}"
        )
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    config = folder / "s3.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps(identities), encoding="utf-8")
    memory = memory_mib()
    os.environ.update({**SETTINGS, **heap(memory), **locked_door(folder)})
    os.chdir(folder)
    os.execvp("weed", command(data, config, memory))  # noqa: S606 - this image's own `weed`


def identities_for(bucket: str, root: list[str], mlflow: list[str], predictions: list[str]) -> dict:
    """Who may do what, as `-s3.config` has it: root everything, MLflow's key the objects of one bucket, and
    serving's put objects into another.
    """
    policies = {"mlflow-bucket": policy_for(bucket), "predictions-write": write_only(PREDICTIONS_BUCKET)}
    return {
        "identities": [
            {"name": "root", "credentials": [credential(root)], "actions": ["Admin"]},
            {"name": "mlflow", "credentials": [credential(mlflow)], "policyNames": ["mlflow-bucket"]},
            {
                "name": "predictions",
                "credentials": [credential(predictions)],
                "policyNames": ["predictions-write"],
            },
        ],
        "policies": [{"name": name, "content": json.dumps(policy)} for name, policy in policies.items()],
    }


def credential(pair: list[str]) -> dict[str, str]:
    return {"accessKey": pair[0], "secretKey": pair[1]}


def policy_for(bucket: str) -> dict:
    """What MLflow's S3 artifact repository does, on one bucket: the policy its key has in MinIO too."""
    of_the_bucket = ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"]
    of_objects = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": of_the_bucket, "Resource": [f"arn:aws:s3:::{bucket}"]},
            {
                "Effect": "Allow",
                "Action": [*of_objects, "s3:ListMultipartUploadParts"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            },
        ],
    }


def write_only(bucket: str) -> dict:
    """Putting objects into one bucket: the policy serving's key has in MinIO too."""
    actions = ["s3:PutObject", "s3:AbortMultipartUpload"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}/*"]}
    return {"Version": "2012-10-17", "Statement": [statement]}


# A bucket starts with one file on disk, not seven.
SETTINGS = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_mib(limit_files: tuple[str, ...] = MEMORY_LIMITS, most: int = 2048) -> int:
    """The memory this store may use, in MiB: what the kernel allows it, at most `most`."""
    for file in limit_files:
        try:
            return min(int(Path(file).read_text(encoding="ascii")) // 2**20, most)
        except (OSError, ValueError):
            continue
    return most


def heap(memory: int) -> dict[str, str]:
    """Go collects its garbage before two thirds of the memory are taken; files and buffers need the rest."""
    return {"GOMEMLIMIT": f"{memory * 2 // 3}MiB"}


def locked_door(folder: Path) -> dict[str, str]:
    """Settings that close the port by which other SeaweedFS servers would tell this one who may do what.

    It listens wherever S3 does and asks callers for nothing. With a certificate it lets in only callers whose
    own was signed by the same key; that key is made here and stays in this container, so there are none.
    """
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 -subj /CN=nobody"
    made = subprocess.run(
        ["openssl", *what.split(), "-keyout", str(key), "-out", str(certificate)],
        capture_output=True,
        text=True,
    )
    if made.returncode != 0:
        raise StoreError(f"openssl made no certificate: {made.stderr.strip()}")
    return {
        "WEED_GRPC_CA": str(certificate),
        "WEED_GRPC_S3_CERT": str(certificate),
        "WEED_GRPC_S3_KEY": str(key),
    }


def command(data: str, config: Path, memory: int) -> list[str]:
    """Master, volume server and filer speak on 127.0.0.1 alone; S3 is what the network sees."""
    return [
        *("weed", "-logtostderr=true", "server", f"-dir={data}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
        "-master.telemetry=false",
        # There is one master: it need not wait the usual ten seconds for others before it leads.
        *("-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms"),
        # Files on disk grow as they are written, to 1 GiB each, and stop before the disk is full.
        *("-master.volumeSizeLimitMB=1024", "-master.volumePreallocate=false"),
        *("-volume.max=4096", "-volume.minFreeSpace=512MiB", "-volume.preStopSeconds=1"),
        *("-filer", "-filer.exposeDirectoryData=false"),
        *("-s3", f"-s3.port={PORT}", "-s3.ip.bind=0.0.0.0", f"-s3.config={config}"),
        # One download alone would otherwise fill the container's memory with chunks read ahead.
        *(f"-s3.readerCacheSizeMB={memory // 4}", "-s3.cacheCapacityMB=0"),
        *("-s3.concurrentUploadLimitMB=128", "-volume.concurrentUploadLimitMB=128"),
        *("-s3.iam=false", "-s3.autoCreateBucket=false", "-s3.allowDeleteBucketNotEmpty=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]


def keeps_an_object(user: str, password: str) -> None:
    """Puts an object into a bucket of the probe's own and reads it back; a StoreError if that fails."""
    written = uuid.uuid4().hex.encode("ascii")
    path = f"/{PROBE_BUCKET}/probe"
    status, _ = request("PUT", path, written, user, password)
    if status == 404:
        request("PUT", f"/{PROBE_BUCKET}", b"", user, password)
        status, _ = request("PUT", path, written, user, password)
    if status != 200:
        raise StoreError(f"an object could not be written (status {status})")
    status, read = request("GET", path, b"", user, password)
    # Two probes at once may read each other's object; the form of what came back still tells.
    if status != 200 or len(read) != len(written):
        raise StoreError(
            f"the object that was written did not come back (status {status}, {len(read)} bytes)"
        )


def request(method: str, path: str, body: bytes, user: str, password: str) -> tuple[int, bytes]:
    """One S3 request to this container's own store: status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        now = datetime.datetime.now(datetime.UTC)
        headers = signed_headers(method, path, body, f"127.0.0.1:{PORT}", now, user, password)
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def signed_headers(
    method: str, path: str, body: bytes, host: str, now: datetime.datetime, user: str, password: str
) -> dict[str, str]:
    """AWS Signature Version 4 for a request whose path needs no escaping and that has no query."""
    stamp, day, content = (
        now.strftime("%Y%m%dT%H%M%SZ"),
        now.strftime("%Y%m%d"),
        hashlib.sha256(body).hexdigest(),
    )
    headers = {"host": host, "x-amz-content-sha256": content, "x-amz-date": stamp}
    names = ";".join(headers)
    canonical = "\n".join(
        [method, path, "", *(f"{name}:{value}" for name, value in headers.items()), "", names, content]
    )
    scope = f"{day}/{REGION}/s3/aws4_request"
    to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{password}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return {
        **headers,
        "authorization": f"AWS4-HMAC-SHA256 Credential={user}/{scope}, SignedHeaders={names}, "
        f"Signature={signature}",
    }


if __name__ == "__main__":
    sys.exit(main())
