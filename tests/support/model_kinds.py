"""The kinds of models that serving is tested and measured with: trained from seeds, saved as MLflow models.

Each is what people register: the two models of the example, boosted trees, a pipeline over mixed columns, and
a model of one's own that only MLflow's generic interface can run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from pipelines.red_blue import data
from pipelines.red_blue.training import classifier

SEED = 42
EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Kind:
    """A trained model and the rows it was trained on.

    model: an estimator or a `PythonModel`; predict: the native answers to a frame; signature: what the
    registry says of it.
    """

    name: str
    model: Any
    frame: pd.DataFrame
    predict: Callable[[pd.DataFrame], Any]
    signature: ModelSignature

    @property
    def is_sklearn(self) -> bool:
        return not isinstance(self.model, mlflow.pyfunc.PythonModel)

    def save(self, folder: Path) -> None:
        self._write(mlflow.sklearn.save_model, mlflow.pyfunc.save_model, path=str(folder))

    def log(self, registered_as: str) -> str:
        """As a run's model in the tracking server that is set, and into its registry; gives the version."""
        with mlflow.start_run():
            info = self._write(
                mlflow.sklearn.log_model,
                mlflow.pyfunc.log_model,
                name="model",
                registered_model_name=registered_as,
            )
        return str(info.registered_model_version)

    def _write(self, sklearn: Callable[..., Any], pyfunc: Callable[..., Any], **where: Any) -> Any:
        described = {"signature": self.signature, "input_example": self.frame.head(EXAMPLE_ROWS)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not self.is_sklearn:
                return pyfunc(python_model=self.model, pip_requirements=["pandas"], **described, **where)
            return sklearn(
                self.model,
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
                **described,
                **where,
            )


@cache
def kind(name: str) -> Kind:
    """One of KINDS, trained once in a process."""
    return KINDS[name](name)


@cache
def points() -> pd.DataFrame:
    """All ten samples of the example's data, 10,000 points with their labels."""
    return pd.concat(data.generate().samples, ignore_index=True)


@cache
def people() -> pd.DataFrame:
    """Texts, whole numbers and fractions; some incomes are missing."""
    random = np.random.default_rng(SEED)
    size = 5_000
    income = random.normal(40_000, 9_000, size).round(2)
    return pd.DataFrame(
        {
            "shop": random.choice(["north", "south", "west", "harbour"], size),
            "tariff": random.choice(["basic", "plus"], size),
            "age": random.integers(18, 90, size),
            "visits": random.poisson(3, size),
            "income": np.where(random.random(size) < 0.1, np.nan, income),
        }
    )


def _estimator(name: str, model: Any, frame: pd.DataFrame, target: Any) -> Kind:
    model.fit(frame, target)
    return _trained(name, model, frame)


def _trained(name: str, model: Any, frame: pd.DataFrame) -> Kind:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that whole numbers have no missing value
        signature = infer_signature(frame, model.predict(frame.head(100)))
    return Kind(name, model, frame, model.predict, signature)


def _example(name: str) -> Kind:
    """MinMaxScaler and the example's own KNN or forest."""
    frame = points()
    model = make_pipeline(MinMaxScaler(), classifier(name, SEED))
    return _estimator(name, model, frame[data.FEATURES], frame[data.TARGET])


def _small_forest(name: str) -> Kind:
    """The example's forest with fewer trees: each test of it asks the native one many times."""
    frame = points()
    model = make_pipeline(MinMaxScaler(), classifier("forest", SEED).set_params(n_estimators=30))
    return _estimator(name, model, frame[data.FEATURES], frame[data.TARGET])


def _boosting(name: str) -> Kind:
    frame = points()
    model = GradientBoostingClassifier(n_estimators=100, random_state=SEED)
    return _estimator(name, model, frame[data.FEATURES], frame[data.TARGET])


def _histogram(name: str) -> Kind:
    """Histogram boosting over texts as numbers, with incomes missing."""
    frame = people()
    texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((texts, ["shop", "tariff"]), remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingRegressor(max_iter=100, random_state=SEED))
    return _estimator(name, model, frame, _spent(frame))


def _mixed(name: str) -> Kind:
    """Texts one-hot, numbers filled in and scaled: the pipeline of the textbooks."""
    frame = people()
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["shop", "tariff"]),
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["age", "visits", "income"]),
    )
    model = make_pipeline(columns, LogisticRegression())
    return _estimator(name, model, frame, np.where(_spent(frame) > 300, "likely", "unlikely"))


def _strict(name: str) -> Kind:
    """As `mixed`, but a text it has not seen is an error, and one column is true or false."""
    frame = people()[["shop", "age"]].assign(member=people()["visits"] > 3)
    columns = make_column_transformer(
        (OneHotEncoder(), ["shop"]), (StandardScaler(), ["age"]), remainder="passthrough"
    )
    model = make_pipeline(columns, LogisticRegression())
    return _estimator(name, model, frame, np.where(_spent(people()) > 300, 1, 0))


def _wholes(name: str) -> Kind:
    """A forest of regression over whole numbers, some too large for float32 to tell apart."""
    random = np.random.default_rng(SEED)
    frame = pd.DataFrame(
        {
            "small": random.integers(0, 20, 2_000),
            "large": 2**24 + random.integers(0, 64, 2_000),
            "narrow": random.integers(-9, 9, 2_000).astype(np.int32),
        }
    )
    target = frame["small"] * 2.0 + (frame["large"] % 7) - frame["narrow"]
    return _estimator(name, RandomForestRegressor(30, random_state=SEED), frame, target)


def _narrow(name: str) -> Kind:
    """float32 columns, rounded so that votes and distances tie."""
    frame = points()[data.FEATURES].head(1_000).round(1).astype(np.float32)
    model = make_pipeline(MinMaxScaler(), classifier("knn", SEED).set_params(n_neighbors=4))
    return _estimator(name, model, frame, points()[data.TARGET].head(1_000))


def _custom(name: str) -> Kind:
    class Distance(mlflow.pyfunc.PythonModel):
        """A local class, so that it is pickled with its code; with type hints MLflow would check by those."""

        def predict(self, context, model_input, params=None):
            import numpy

            if (model_input["Coord_X"] > 1e6).any():
                raise ValueError("too far away")
            times = (params or {}).get("times", 2)
            distances = numpy.hypot(model_input["Coord_X"], model_input["Coord_Y"])
            # An array: a Series without a name becomes rows with a column "0" in MLflow's own server.
            return distances.to_numpy() * times

    frame = points()[data.FEATURES]
    signature = infer_signature(frame, np.array([1.0]), params={"times": 2})
    model = Distance()
    return Kind(name, model, frame, lambda frame: model.predict(None, frame), signature)


def _spent(frame: pd.DataFrame) -> pd.Series:
    noise = np.random.default_rng(SEED + 1).normal(scale=20, size=len(frame))
    return (
        frame["visits"] * 40
        + frame["age"]
        + frame["income"].fillna(30_000) / 400
        + np.where(frame["tariff"] == "plus", 60, 0)
        + noise
    )


KINDS: dict[str, Callable[[str], Kind]] = {
    "knn": _example,
    "forest": _example,
    "boosting": _boosting,
    "histogram": _histogram,
    "mixed": _mixed,
    "custom": _custom,
    "small-forest": _small_forest,
    "strict": _strict,
    "wholes": _wholes,
    "narrow": _narrow,
}
MEASURED = ("knn", "forest", "boosting", "histogram", "mixed", "custom")
"""Those that are compared with other servers."""
TESTED = tuple(name for name in KINDS if name != "forest")
"""Those whose answers are tested; some are there for a trap each."""
