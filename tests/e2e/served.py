"""Small models on a platform of the end-to-end tests, whose answers tell which version they came from, and
what serving is asked of them."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import httpx
import mlflow
import numpy as np
import pandas as pd
from click.testing import CliRunner
from mlflow import MlflowClient
from mlflow.models import infer_signature
from mlflow.models.signature import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sklearn.dummy import DummyClassifier

from pipelines.cli import main as slipway_command
from tests.support.load import Answer, Load
from tests.support.person import Person
from tests.support.processes import eventually

COLOURS = {"1": "Red", "2": "Blue", "3": "Green", "4": "White"}
"""What each version of the model answers, to every point."""
POINT = {"inputs": [{"Coord_X": 1.5, "Coord_Y": -2.0}]}
NAME, ODD = "coloured", "odd"
FLUSH_SECONDS = 5
"""How often a replica saves what it has counted, and reads what the others have."""


class Served:
    """What an administrator's client registers and rolls out, and an application with a key then asks for."""

    def __init__(self, url: str, person: Person) -> None:
        self.url, self.person = url, person
        self.application = person.application("load", "*")

    @contextlib.contextmanager
    def as_person(self) -> Iterator[MlflowClient]:
        """MLflow's client and our commands speak for the person."""
        with mock.patch.dict(os.environ, self.person.tracking()):
            mlflow.set_tracking_uri(self.person.tracking()["MLFLOW_TRACKING_URI"])
            try:
                yield MlflowClient()
            finally:
                mlflow.set_tracking_uri(None)

    def command(self, *arguments: str) -> str:
        """A `slipway` command in a scientist's terminal."""
        with self.as_person():
            done = CliRunner().invoke(slipway_command, arguments)
        assert done.exit_code == 0, done.output
        return done.output

    def make_models(self) -> None:
        """Version N of the coloured model answers with the N-th colour; the odd model does as it is told."""
        points = pd.DataFrame({"Coord_X": [1.0, 2.0], "Coord_Y": [3.0, 4.0]})
        with self.as_person() as client:
            known = {model.name for model in client.search_registered_models()}
            mlflow.set_experiment("load")
            for colour in COLOURS.values() if NAME not in known else ():
                model = DummyClassifier(strategy="constant", constant=colour)
                model.fit(points, np.array([colour, "Other"]))
                mlflow.sklearn.log_model(
                    model,
                    name="model",
                    registered_model_name=NAME,
                    signature=infer_signature(points, pd.Series(model.predict(points), name="label")),
                    input_example=points,
                    pip_requirements=["scikit-learn"],
                )
            if ODD not in known:
                mlflow.pyfunc.log_model(
                    name="model",
                    python_model=str(Path(__file__).parents[1] / "support/odd_model.py"),
                    registered_model_name=ODD,
                    signature=ModelSignature(Schema([ColSpec(DataType.string, "do")])),
                    pip_requirements=["mlflow"],
                )
        for name in (NAME, ODD):
            self.command("rollout", name, "1")

    def move(self, version: str) -> None:
        """Production's alias alone, as `slipway rollout` moves it, without its record."""
        with self.as_person() as client:
            client.set_registered_model_alias(NAME, "production", version)

    def live(self, name: str = NAME) -> str | None:
        return self.described(name).get("version")

    def described(self, name: str = NAME) -> dict:
        try:
            return self.application.get(f"/serving/models/{name}").json()
        except (httpx.HTTPError, ValueError):
            return {}

    def becomes(self, version: str, seconds: float = 30, times: int = 3) -> bool:
        """Serving answers with the version, several times running: behind the gateway may be several."""
        return eventually(
            lambda: all(self.live() == version for _ in range(times)), seconds, pause=0.05
        )  # fmt: skip

    def load(self, name: str = NAME, body: object = POINT, **options: object) -> Load:
        """Under the application's key; not yet begun."""
        return Load(
            f"{self.url}/serving/models/{name}/predict",
            {"Authorization": self.application.headers["Authorization"]},
            body,
            **options,
        )

    def asks(self, name: str = NAME, body: object = POINT, **options: object) -> httpx.Response:
        return self.application.post(f"/serving/models/{name}/predict", json=body, **options)

    def counted(self, name: str = NAME) -> int:
        """The predictions that /visitors tells of this application for this model."""
        return self._counted(name)[0]

    def settled(self, name: str = NAME, times: int = 20) -> int:
        """As many, once all replicas tell alike for longer than they need to learn of each other."""
        since, before = time.monotonic(), set()
        end = since + 60
        while time.monotonic() < end:
            told = {self._counted(name) for _ in range(times)}
            if len(told) != 1 or told != before:
                since, before = time.monotonic(), told
            (count, unsaved), *others = told
            if not others and not unsaved and time.monotonic() - since > FLUSH_SECONDS + 2:
                return count
            time.sleep(0.5)
        raise AssertionError(f"the replicas do not agree: {told}")

    def _counted(self, name: str) -> tuple[int, int]:
        said = self.application.get("/serving/visitors").json()
        callers = said["models"].get(name, {"callers": []})["callers"]
        return sum(one["total"] for one in callers if one["name"] == "load"), said["unsaved"]


def wrong(answers: list[Answer]) -> list[Answer]:
    """Those that say one version and answer as another."""
    return [
        one
        for one in answers
        if one.status == 200 and set(one.said["predictions"]) != {COLOURS[one.said["version"]]}
    ]
