"""How good a model is: on the held-out fifth of its sample, in cross-validation, and on the reference set."""

from __future__ import annotations

import pandas as pd
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.pipeline import Pipeline

from .data import FEATURES, LABELS, TARGET
from .training import Trained

PRIMARY_METRIC = "reference_accuracy"


def held_out_metrics(trained: Trained) -> dict[str, float]:
    """On the held-out fifth, and the mean and the standard deviation of cross-validation."""
    return {
        **_scores(trained.model, trained.held_out),
        "cv_accuracy_mean": float(trained.cv_accuracies.mean()),
        "cv_accuracy_std": float(trained.cv_accuracies.std()),
    }


def reference_metrics(trained: Trained, reference: pd.DataFrame) -> dict[str, float]:
    """On the reference set, the same points for every model: the first of them is the primary metric."""
    return {f"reference_{name}": value for name, value in _scores(trained.model, reference).items()}


def _scores(model: Pipeline, frame: pd.DataFrame) -> dict[str, float]:
    """Precision, recall and F1 are the mean of both labels', since neither is the one looked for."""
    predicted = model.predict(frame[FEATURES])
    precision, recall, f1, _ = precision_recall_fscore_support(
        frame[TARGET], predicted, labels=LABELS, average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(frame[TARGET], predicted)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
    }
