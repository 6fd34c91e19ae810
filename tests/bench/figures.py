"""What the measurements of both ways of running share: the table, and the first prediction."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.support.installation import REPOSITORY


class Rows(list):
    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.note(what, f"{time.monotonic() - began:.0f} s")

    def note(self, what: str, figure: str) -> None:
        print(f"{what}: {figure}", file=sys.stderr, flush=True)
        self.append((what, figure))

    def table(self) -> str:
        return "\n".join(
            ["| what | measured |", "| --- | --- |", *(f"| {what} | {figure} |" for what, figure in self)]
        )


BODY = {"inputs": [{"Coord_X": 1.0, "Coord_Y": 2.0}]}


def first_prediction(url: str, token: str) -> str:
    """Train, register, roll out, predict; gives the application's key."""
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": f"{url}/mlflow",
        "MLFLOW_TRACKING_TOKEN": token,
        "SLIPWAY_SERVING_URL": f"{url}/serving",
        "PYTHONPATH": str(REPOSITORY),
    }

    def run(*command: str) -> None:
        subprocess.run(
            [sys.executable, "-m", *command], env=environment, cwd=REPOSITORY, check=True, stdout=sys.stderr
        )

    run("pipelines.red_blue", "train", "--model", "knn", "--sample", "1")
    run(
        "pipelines.cli",
        "register",
        "--best",
        "reference_accuracy",
        "--experiment",
        "red-blue",
        "--name",
        "red-blue",
    )
    run("pipelines.cli", "rollout", "red-blue", "1", "--reason", "the first")
    key = httpx.post(
        f"{url}/auth/keys",
        headers={"Authorization": f"Bearer {token}"},
        json={"name": "bench", "models": ["red-blue"], "days": 1},
        timeout=30,
    ).json()["key"]
    answer = httpx.post(
        f"{url}/serving/predict",
        headers={"Authorization": f"Bearer {key}"},
        json=BODY,
        timeout=30,
    )
    answer.raise_for_status()
    return str(key)
