"""Training on one sample after another, with a scaler that has seen every sample so far. No MLflow.

The scaler goes on from sample to sample (`partial_fit`), so that it knows the whole range met so far; the
classifier is trained on the present sample alone. The model that comes out holds both, so raw points go in.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from .data import FEATURES, TARGET, DataSet

MODELS = ["knn", "forest"]
HELD_OUT = 0.2
FOLDS = 10


@dataclass(frozen=True)
class Trained:
    """What came of one sample: the model for raw points, and the points it learned from and was held from.

    cv_accuracies: one for each fold.
    """

    model_name: str
    sample: int
    seed: int
    model: Pipeline
    training: pd.DataFrame
    held_out: pd.DataFrame
    cv_accuracies: np.ndarray = field(repr=False)

    @property
    def parameters(self) -> dict[str, str | int | float]:
        """What one would need to train it again."""
        classifier = self.model["classifier"].get_params()
        shown = ["n_neighbors", "leaf_size"] if self.model_name == "knn" else ["n_estimators", "max_depth"]
        return {
            "model": self.model_name,
            "sample": self.sample,
            "seed": self.seed,
            "held_out": HELD_OUT,
            "cv_folds": FOLDS,
            "scaler": type(self.model["scaler"]).__name__,
            "scaler_samples": f"1-{self.sample}",
            **{name: classifier[name] for name in shown},
        }


def classifier(model_name: str, seed: int) -> ClassifierMixin:
    """`knn` or `forest`, not yet trained."""
    if model_name == "knn":
        return KNeighborsClassifier(n_neighbors=7, leaf_size=40)
    if model_name == "forest":
        return RandomForestClassifier(n_estimators=250, max_depth=7, random_state=seed)
    raise ValueError(f"model {model_name!r} does not exist: choose {' or '.join(MODELS)}")


def train_sample(data: DataSet, model_name: str, sample: int, seed: int) -> Trained:
    """Train on one sample; the scaler first goes through the samples before it."""
    return next(train_samples(data, model_name, [sample], seed))


def train_samples(data: DataSet, model_name: str, samples: list[int], seed: int) -> Iterator[Trained]:
    """Train on each of the samples (numbered from 1, ascending) as they pass by; nothing is scaled twice."""
    for sample in samples:
        if not 1 <= sample <= len(data.samples):
            raise ValueError(f"sample {sample} does not exist: choose 1 to {len(data.samples)}")
    carried = MinMaxScaler()
    for number, frame in enumerate(data.samples[: max(samples)], start=1):
        training, held_out = split(frame, seed)
        before = deepcopy(carried)
        carried.partial_fit(training[FEATURES])
        if number in samples:
            model = Pipeline([("scaler", deepcopy(carried)), ("classifier", classifier(model_name, seed))])
            # Pipeline.fit would fit the scaler anew and forget the samples before.
            model["classifier"].fit(model["scaler"].transform(training[FEATURES]), training[TARGET])
            scores = _cross_validate(model["classifier"], before, training, seed)
            yield Trained(model_name, number, seed, model, training, held_out, scores)


def split(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """80 % to learn from and 20 % held out, with as much red and blue in both."""
    return tuple(train_test_split(frame, test_size=HELD_OUT, stratify=frame[TARGET], random_state=seed))


def _cross_validate(
    trained: ClassifierMixin, before: MinMaxScaler, frame: pd.DataFrame, seed: int
) -> np.ndarray:
    """Accuracy in each fold; a fold's scaler knows the samples before and the fold's training part, nothing
    else.
    """
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    scores = []
    for learn, check in folds.split(frame[FEATURES], frame[TARGET]):
        scaler = deepcopy(before).partial_fit(frame[FEATURES].iloc[learn])
        fitted = clone(trained).fit(scaler.transform(frame[FEATURES].iloc[learn]), frame[TARGET].iloc[learn])
        predicted = fitted.predict(scaler.transform(frame[FEATURES].iloc[check]))
        scores.append(accuracy_score(frame[TARGET].iloc[check], predicted))
    return np.array(scores)
