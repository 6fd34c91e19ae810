"""A real S3 server of one test's own: SeaweedFS, whose configuration says who may do what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Processes, free_port, program

KEYS = {
    "minio_root_user": "rootkey0123456789abc",
    "minio_root_password": "root-secret-0123456789-0123456789",
    "mlflow_s3_access_key_id": "mlflowkey0123456789a",
    "mlflow_s3_secret_access_key": "mlflow-secret-0123456789-0123456789",
    "predictions_s3_access_key_id": "predictionskey012345",
    "predictions_s3_secret_access_key": "predictions-secret-0123456789-01234567",
}


@contextmanager
def running_seaweedfs(processes: Processes, folder: Path) -> Iterator[str]:
    """The address of a server whose root may do everything, MLflow's key use one bucket, and serving's put
    objects into another.
    """
    servers = ("s3", "master", "volume", "filer")
    # Left alone, each server's gRPC port is its port plus 10,000, which may be past the last one.
    ports = {option: str(free_port()) for name in servers for option in (f"{name}.port", f"{name}.port.grpc")}
    (folder / "s3.json").write_text(json.dumps(_who_may_what()))
    (folder / "weed").mkdir(exist_ok=True)
    command = [program("weed"), "server", f"-dir={folder}/weed", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    command += ["-filer", "-s3", *(f"-{option}={port}" for option, port in ports.items())]
    command += [f"-s3.config={folder}/s3.json", "-master.volumeSizeLimitMB=64", "-volume.max=20"]
    command += ["-volume.preStopSeconds=0"]
    process = processes.start("weed", command)
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    processes.wait_for("weed", process, endpoint)
    yield endpoint
    process.kill()  # asked to stop, its filer waits for 15 seconds


def _who_may_what() -> dict:
    put_only = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": ["arn:aws:s3:::predictions/*"]}
    policy = {"Version": "2012-10-17", "Statement": [put_only]}
    return {
        "identities": [
            {
                "name": "root",
                "credentials": _pair("minio_root_user", "minio_root_password"),
                "actions": ["Admin"],
            },
            {
                "name": "mlflow",
                "credentials": _pair("mlflow_s3_access_key_id", "mlflow_s3_secret_access_key"),
                "actions": [f"{action}:mlflow" for action in ("Read", "Write", "List", "Tagging")],
            },
            {
                "name": "predictions",
                "credentials": _pair("predictions_s3_access_key_id", "predictions_s3_secret_access_key"),
                "policyNames": ["put-only"],
            },
        ],
        "policies": [{"name": "put-only", "content": json.dumps(policy)}],
    }


def _pair(key: str, secret: str) -> list[dict[str, str]]:
    return [{"accessKey": KEYS[key], "secretKey": KEYS[secret]}]
