"""`python -m … ESTIMATOR TARGET KINDS`: a pickled estimator into an ONNX file; KINDS in order of wish."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np


def main(source: str, target: str, kinds: str) -> int:
    os.nice(max(0, 10 - os.getpriority(os.PRIO_PROCESS, 0)))
    with contextlib.suppress(OSError):
        # Short of memory, this process is what the system should end, not the one that serves.
        Path("/proc/self/oom_score_adj").write_text("1000")
    warnings.simplefilter("ignore")
    estimator = pickle.loads(Path(source).read_bytes())  # noqa: S301 - written by the process that started this
    failures = []
    for kind in kinds.split(","):
        try:
            content = convert(estimator, kind)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            failures.append(f"{kind}: {type(error).__name__}: {lines[0]}")
            continue
        Path(target).write_bytes(content)
        return 0
    print("; ".join(failures), file=sys.stderr)
    return 1


def convert(estimator: Any, kind: str) -> bytes:
    """ONNX's bytes; raises whatever skl2onnx or ONNX Runtime has against it."""
    import onnxruntime
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    _accept_numpy_attributes()
    shape = [None, estimator.n_features_in_]
    types = [("X", FloatTensorType(shape) if kind == "float" else DoubleTensorType(shape))]
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "classes_") else None
    content = to_onnx(estimator, initial_types=types, options=options).SerializeToString()
    onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content


def _accept_numpy_attributes() -> None:
    """onnx refuses NumPy's integers, which skl2onnx takes from scikit-learn's histogram trees as they are."""
    import onnx.helper

    make = onnx.helper.make_attribute

    def make_attribute(key: str, value: Any, *args: Any, **more: Any) -> Any:
        if isinstance(value, list):
            value = [item.item() if isinstance(item, np.generic) else item for item in value]
        return make(key, value, *args, **more)

    onnx.helper.make_attribute = make_attribute


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
