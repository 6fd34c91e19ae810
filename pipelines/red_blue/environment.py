"""Makes the bare `mlflow run` of this project use the present environment, by MLflow's own cache of
environments.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mlflow.projects import load_project
from mlflow.utils.environment import _PythonEnv
from mlflow.utils.virtualenv import _get_mlflow_virtualenv_root, _get_virtualenv_name

from ..errors import PipelineError

PROJECT = Path(__file__).parent


def link_environment() -> Path:
    """A link in MLFLOW_ENV_ROOT with the name MLflow gives this project's environment; the "
    "same when repeated"

    The name is a hash of python_env.yaml and the Python version, so the link serves every copy of the
    project that asks for the same libraries. Raises PipelineError where there is no environment to link
    to.
    """
    here = Path(sys.prefix)
    if not (here / "bin" / "activate").is_file():
        raise PipelineError(
            f"{here} is not a virtual environment that MLflow could activate: "
            "make one with python -m venv, or use mlflow run --env-manager local"
        )
    wanted = _PythonEnv.from_yaml(load_project(str(PROJECT)).env_config_path)
    link = Path(_get_mlflow_virtualenv_root()) / _get_virtualenv_name(wanted, PROJECT)
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    elif link.exists():
        raise PipelineError(
            f"{link} is an environment that MLflow built: remove it first if the present one shall be used"
        )
    link.symlink_to(here)
    return link
