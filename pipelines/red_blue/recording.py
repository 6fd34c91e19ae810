"""What a run of the red/blue example leaves in MLflow: everything another person needs to judge and repeat
it.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.data.pandas_dataset import PandasDataset
from mlflow.models import infer_signature
from mlflow.models.model import ModelInfo

from ..ownership import SCRATCH, experiment_for
from ..source import commit_of
from .data import FEATURES, TARGET, DataSet
from .evaluation import PRIMARY_METRIC, held_out_metrics, reference_metrics
from .pictures import confusion_picture, regions_picture
from .training import Trained

EXPERIMENT = "red-blue"
MODEL = "model"
# What the model is read with. The format is skops: unlike a pickle it runs no code when it is read, so the
# types
# that it may hold beside scikit-learn's plain ones are named.
LIBRARIES = ["mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy"]
TRUSTED_TYPES = {
    "knn": ["sklearn.metrics._dist_metrics.EuclideanDistance64", "sklearn.neighbors._kd_tree.KDTree"],
    "forest": ["sklearn.tree._tree.Tree"],
}


def choose_experiment(name: str | None = None) -> None:
    """The named one, else what somebody has set in the environment, else `red-blue`, or `red-blue-PERSON`
    where that is another's; a run that `mlflow run` began keeps its own.
    """
    if "MLFLOW_RUN_ID" in os.environ:
        return
    set_here = os.environ.get("MLFLOW_EXPERIMENT_NAME", "")
    # What every notebook begins with is nobody's choice.
    chosen = name or ("" if set_here.startswith(SCRATCH) else set_here)
    mlflow.set_experiment(chosen or experiment_for(mlflow.MlflowClient(), EXPERIMENT))


def record(trained: Trained, data: DataSet, nested: bool = False) -> mlflow.ActiveRun:
    """Log one trained sample as a run of its own (or into the run that `mlflow run` began) and give that
    run.
    """
    with mlflow.start_run(run_name=run_name(trained), nested=nested) as run:
        mlflow.set_tags(_tags(trained, data))
        # `mlflow run` has written its own parameters down already, as they were typed; they cannot
        # be changed.
        parameters = {**trained.parameters, "data_origin": data.origin}
        mlflow.log_params({name: value for name, value in parameters.items() if name not in run.data.params})
        sample, reference = _datasets(trained, data)
        mlflow.log_input(sample, context="training")
        mlflow.log_input(reference, context="evaluation")
        model_id = _log_model(trained).model_id
        # Given the model and the points, MLflow shows the figures beside both.
        mlflow.log_metrics(held_out_metrics(trained), dataset=sample, model_id=model_id)
        mlflow.log_metrics(reference_metrics(trained, data.reference), dataset=reference, model_id=model_id)
        mlflow.log_figure(confusion_picture(trained, data.reference), "confusion_matrix.png")
        mlflow.log_figure(regions_picture(trained, data.reference), "decision_regions.png")
    return run


def run_name(trained: Trained) -> str:
    return f"{trained.model_name}-sample-{trained.sample:02d}"


def requirements() -> list[str]:
    """The libraries of this environment, pinned: on the platform they are the serving image's too."""
    return [f"{library}=={version(library)}" for library in LIBRARIES]


def _tags(trained: Trained, data: DataSet) -> dict[str, str]:
    tags = {
        "mlflow.runName": run_name(trained),
        "model": trained.model_name,
        "data": f"sample-{trained.sample:02d}",
        "data_version": data.version,
        "primary_metric": PRIMARY_METRIC,
    }
    if commit := commit_of(Path(__file__).parent):
        tags |= {"mlflow.source.git.commit": commit.id, "uncommitted_changes": str(commit.changed).lower()}
    return tags


def _datasets(trained: Trained, data: DataSet) -> tuple[PandasDataset, PandasDataset]:
    sources = [data.sources[trained.sample - 1], data.sources[-1]]
    frames = [data.samples[trained.sample - 1], data.reference]
    names = [f"red-blue-sample-{trained.sample:02d}", "red-blue-reference"]
    made = [
        mlflow.data.from_pandas(frame, source=source, targets=TARGET, name=name)
        for frame, source, name in zip(frames, sources, names, strict=True)
    ]
    return made[0], made[1]


def _log_model(trained: Trained) -> ModelInfo:
    """Scaler and classifier in one, with raw points as its input: what serves it need know of no scaler."""
    raw = trained.held_out[FEATURES].reset_index(drop=True)
    predictions = pd.Series(trained.model.predict(raw), name=TARGET)
    return mlflow.sklearn.log_model(
        trained.model,
        name=MODEL,
        signature=infer_signature(raw, predictions),
        input_example=raw.head(5),
        pip_requirements=requirements(),
        serialization_format="skops",
        skops_trusted_types=TRUSTED_TYPES[trained.model_name],
    )
