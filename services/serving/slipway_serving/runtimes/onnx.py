"""The last estimator in ONNX Runtime; what comes before it stays in scikit-learn's precision.

Converting holds Python's lock for long and brings libraries that are not needed afterwards, so it is done in
a process of its own (`convert`), which can be stopped.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import FEW, Loaded, Unfit, Unsuitable
from .native import Native, rounds_to_float32
from .steps import split

# Closer than this, two classes may change places by rounding: then the native estimator is asked.
_MARGIN = 1e-5
_MODULES = (
    "sklearn.tree.",
    "sklearn.ensemble._forest",
    "sklearn.ensemble._gb",
    "sklearn.ensemble._hist_gradient_boosting",
    "sklearn.linear_model",
    "sklearn.naive_bayes",
    "sklearn.neural_network",
    "sklearn.discriminant_analysis",
)


class Onnx:
    name = "onnx"
    takes_params = False

    def __init__(self, native: Native, content: bytes, threads: int):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._native = native
        self._front = native._front
        self._classes = getattr(native._estimator, "classes_", None)
        self._round = rounds_to_float32(native._estimator)
        wanted = self._session.get_inputs()[0]
        self._dtype = np.float32 if wanted.type == "tensor(float)" else np.float64
        names = [output.name for output in self._session.get_outputs()]
        # A classifier's first output is the label, a regressor's only one the value.
        self._outputs = names[1:2] if self._classes is not None else names[:1]
        self.probabilities = self._classes is not None

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        matrix = self._front(data)
        out = self._run(matrix)
        if self._classes is None:
            return out[:, 0] if out.ndim == 2 else out
        labels = self._classes[out.argmax(axis=1)]
        if len(matrix) == 1:
            best, second = sorted(out[0].tolist())[:-3:-1]
            if not best - second > _MARGIN:
                raise Unfit
            return labels
        ordered = np.partition(out, -2, axis=1)
        unsure = ~(ordered[:, -1] - ordered[:, -2] > _MARGIN)
        if unsure.any():
            if len(matrix) <= FEW:
                raise Unfit
            labels[unsure] = self._native._estimator.predict(matrix[unsure])
        return labels

    def predict_proba(self, data: Any) -> Any:
        return self._run(self._front(data))

    def _run(self, matrix: np.ndarray) -> np.ndarray:
        if self._round and self._dtype == np.float64:
            matrix = matrix.astype(np.float32)
        return self._session.run(self._outputs, {"X": matrix.astype(self._dtype, copy=False)})[0]


def offer(loaded: Loaded) -> Onnx:
    if importlib.util.find_spec("onnxruntime") is None:
        raise Unsuitable("ONNX Runtime is not installed here")
    front, model = split(loaded)
    if not type(model).__module__.startswith(_MODULES):
        raise Unsuitable(f"{type(model).__name__} is not among the estimators that are converted")
    classifies = hasattr(model, "classes_")
    if classifies and not hasattr(model, "predict_proba"):
        raise Unsuitable("a classifier without probabilities cannot be checked for close decisions")
    if classifies and (isinstance(model.classes_, list) or len(model.classes_) < 2):
        raise Unsuitable("it has several outputs, or a single class")
    if not classifies and (getattr(model, "n_outputs_", 1) != 1 or np.ndim(getattr(model, "coef_", [])) > 1):
        raise Unsuitable("it has several outputs")
    # Where the estimator computes in float64, so does ONNX; trees' probabilities are float32 there either
    # way.
    kinds = "float,double" if classifies and rounds_to_float32(model) else "double"
    if "onnx" not in loaded.converted:
        loaded.converted["onnx"] = _converted(model, kinds, loaded.seconds)
    return Onnx(Native(front, model), loaded.converted["onnx"], loaded.threads)


def _converted(model: Any, kinds: str, seconds: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="convert-") as folder:
        source, target = Path(folder, "estimator"), Path(folder, "model.onnx")
        source.write_bytes(pickle.dumps(model))
        command = [sys.executable, "-m", f"{__package__}.convert", str(source), str(target), kinds]
        package = Path(__file__).parents[2]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=max(seconds, 1), check=False
            )
        except subprocess.TimeoutExpired:
            raise Unsuitable(f"converting it took longer than {seconds:.0f} s") from None
        if done.returncode != 0 or not target.exists():
            said = done.stderr.strip().splitlines()
            raise Unsuitable(f"skl2onnx does not convert it: {said[-1][:200] if said else done.returncode}")
        return target.read_bytes()
