"""The job that prepares the object store, against real S3 servers.

MinIO itself is on no package index. Its admin API and its policies are tried on `juicefs gateway`, which runs
MinIO's own code for both but cannot version a bucket; versioning is tried on SeaweedFS.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import botocore
import httpx
import pytest

from tests.support.seaweedfs import KEYS, running_seaweedfs

JOB = Path(__file__).parents[3] / "services/objectstore/provision.py"
BUCKETS = ("mlflow", "datasets", "backups", "predictions")


@pytest.fixture
def keys(tmp_path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, value in KEYS.items():
        (folder / name).write_text(value)
    return folder


def provision(keys: Path, endpoint: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(JOB)],
        env={**os.environ, "SECRETS_DIR": str(keys), "S3_ENDPOINT_URL": endpoint, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def client(endpoint: str, key: str, secret: str):
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=KEYS[key],
        aws_secret_access_key=KEYS[secret],
        region_name="us-east-1",
    )


@pytest.fixture
def seaweedfs(processes, tmp_path, keys) -> Iterator[str]:
    with running_seaweedfs(processes, tmp_path) as endpoint:
        yield endpoint


@pytest.fixture
def minio_admin(processes, tmp_path, free_port, program, keys) -> str:
    """MinIO's S3 and admin code, as JuiceFS ships it."""
    juicefs, meta = program("juicefs"), f"sqlite3://{tmp_path}/meta.db"
    formatted = subprocess.run(
        [juicefs, "format", meta, "test", "--storage", "file", "--bucket", f"{tmp_path}/jfs/"],
        capture_output=True,
        text=True,
    )
    assert formatted.returncode == 0, formatted.stderr
    address = f"127.0.0.1:{free_port()}"
    process = processes.start(
        "juicefs",
        [juicefs, "gateway", "--multi-buckets", "--no-usage-report", meta, address],
        environment={
            "MINIO_ROOT_USER": KEYS["minio_root_user"],
            "MINIO_ROOT_PASSWORD": KEYS["minio_root_password"],
        },
    )
    processes.wait_for("juicefs", process, f"http://{address}/minio/health/ready")
    return f"http://{address}"


def test_buckets_are_made_and_versioned(seaweedfs, keys):
    for _ in range(2):  # the second time changes nothing
        done = provision(keys, seaweedfs, S3_PROVISION="buckets")
        assert done.returncode == 0, done.stderr
    root = client(seaweedfs, "minio_root_user", "minio_root_password")
    assert set(BUCKETS) <= {bucket["Name"] for bucket in root.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        assert root.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_mlflows_key_opens_its_bucket_and_no_other(minio_admin, keys, make_buckets):
    make_buckets(minio_admin)
    from_the_job = run_minio_mode(keys, minio_admin)
    assert from_the_job.returncode == 0, from_the_job.stderr
    assert run_minio_mode(keys, minio_admin).returncode == 0, "a second run must change nothing"
    mlflow = client(minio_admin, "mlflow_s3_access_key_id", "mlflow_s3_secret_access_key")
    mlflow.put_object(Bucket="mlflow", Key="a", Body=b"1")
    assert mlflow.get_object(Bucket="mlflow", Key="a")["Body"].read() == b"1"
    for bucket in ("datasets", "backups"):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            mlflow.put_object(Bucket=bucket, Key="a", Body=b"1")
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            mlflow.list_objects_v2(Bucket=bucket)


@pytest.fixture
def make_buckets():
    def make(endpoint: str) -> None:
        root = client(endpoint, "minio_root_user", "minio_root_password")
        for bucket in BUCKETS:
            root.create_bucket(Bucket=bucket)

    return make


def run_minio_mode(keys: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """The admin part of the job: JuiceFS refuses the versioning that the job asks for first."""
    steps = (
        "import os, provision as p; store = p.Store.from_environment(os.environ);"
        "store.ensure_keys(); store.try_mlflow_key(confined=True); store.try_predictions_key()"
    )
    return subprocess.run(
        [sys.executable, "-c", steps],
        env={
            **os.environ,
            "PYTHONPATH": str(JOB.parent),
            "SECRETS_DIR": str(keys),
            "S3_ENDPOINT_URL": endpoint,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_key_that_opens_too_much_stops_the_job(seaweedfs, keys):
    (keys / "mlflow_s3_access_key_id").write_text(KEYS["minio_root_user"])
    (keys / "mlflow_s3_secret_access_key").write_text(KEYS["minio_root_password"])
    done = provision(keys, seaweedfs, S3_PROVISION="buckets")
    assert done.returncode == 1
    assert "it may open mlflow alone" in done.stderr


def test_servings_key_puts_predictions_and_can_do_nothing_else(minio_admin, keys, make_buckets):
    make_buckets(minio_admin)
    assert run_minio_mode(keys, minio_admin).returncode == 0
    serving = client(minio_admin, "predictions_s3_access_key_id", "predictions_s3_secret_access_key")
    serving.put_object(Bucket="predictions", Key="model=a/1.parquet", Body=b"1")
    refused = pytest.raises(botocore.exceptions.ClientError, match=r"AccessDenied|Forbidden|403")
    for bucket in BUCKETS:
        with refused:
            serving.list_objects_v2(Bucket=bucket)
        with refused:
            serving.get_object(Bucket=bucket, Key="model=a/1.parquet")
        with refused:
            serving.delete_object(Bucket=bucket, Key="model=a/1.parquet")
    for bucket in BUCKETS[:-1]:
        with refused:
            serving.put_object(Bucket=bucket, Key="a", Body=b"1")
    root = client(minio_admin, "minio_root_user", "minio_root_password")
    left = [one["Key"] for one in root.list_objects_v2(Bucket="predictions")["Contents"]]
    assert left == ["model=a/1.parquet"], "what the job put there to try the key is gone"


def test_a_key_of_serving_that_reads_stops_the_job(seaweedfs, keys):
    (keys / "predictions_s3_access_key_id").write_text(KEYS["minio_root_user"])
    (keys / "predictions_s3_secret_access_key").write_text(KEYS["minio_root_password"])
    done = provision(keys, seaweedfs, S3_PROVISION="buckets")
    assert done.returncode == 1
    assert "serving's key reads the bucket mlflow" in done.stderr


def test_a_store_of_the_operators_own_is_only_tried(seaweedfs, keys):
    root = client(seaweedfs, "minio_root_user", "minio_root_password")
    root.create_bucket(Bucket="mlflow")
    done = provision(keys, seaweedfs, S3_PROVISION="none")
    assert done.returncode == 0, done.stderr
    assert [bucket["Name"] for bucket in root.list_buckets()["Buckets"]] == ["mlflow"]


def test_a_wrong_key_is_found_before_the_first_artifact(seaweedfs, keys):
    (keys / "mlflow_s3_secret_access_key").write_text("wrong-0123456789-0123456789-0123")
    done = provision(keys, seaweedfs, S3_PROVISION="buckets")
    assert done.returncode == 1
    assert "MLflow's key cannot use the bucket mlflow" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_secret_and_a_wrong_address_are_named(seaweedfs, keys):
    done = provision(keys, "minio:9000", S3_PROVISION="buckets")
    assert (done.returncode, "S3_ENDPOINT_URL" in done.stderr) == (1, True)
    done = provision(keys, seaweedfs, S3_PROVISION="sometimes")
    assert (done.returncode, "S3_PROVISION" in done.stderr) == (1, True)
    (keys / "minio_root_user").unlink()
    done = provision(keys, seaweedfs, S3_PROVISION="buckets")
    assert (done.returncode, "minio_root_user" in done.stderr) == (1, True)
    assert httpx.get(seaweedfs).status_code < 500
