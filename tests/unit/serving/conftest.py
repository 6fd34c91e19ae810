"""Makes the model server's package importable; it is not installed, its image runs it from its folder too."""

import os
import sys
from pathlib import Path

import pytest

# As in its image; before scikit-learn is imported, which reads it once.
os.environ.setdefault("OMP_NUM_THREADS", "1")

sys.path.insert(0, str(Path(__file__).parents[3] / "services" / "serving"))


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    """served(name) -> a kind of `model_kinds` as it is served, prepared once for all tests."""
    from slipway_serving.runtimes import Unsuitable, onnx
    from slipway_serving.runtimes.convert import convert

    from tests.support.served import serve

    def converted(model, kinds, seconds):
        # Here: starting a process for each model would take most of these tests' time.
        try:
            return convert(model, kinds.split(",")[0])
        except Exception as error:
            raise Unsuitable(str(error)[:200]) from error

    made = {}

    def get(name):
        if name not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(onnx, "_converted", converted)
                made[name] = serve(name, tmp_path_factory.mktemp("kinds") / name)
        return made[name]

    return get
