"""Notebook servers as processes of this account, in place of containers; the hub's settings read this last.

The starter says where things are (infra/embedded/services.py); what makes MLflow work in a first cell is set
already (slipway_hub/spawner.py).
"""

import os
import re
from pathlib import Path

import psutil
from jupyterhub.spawner import SimpleLocalProcessSpawner

c = get_config()  # noqa: F821 (JupyterHub gives it)

PLATFORM = Path(os.environ["PLATFORM_ENV"])
NOTEBOOK = Path(os.environ["NOTEBOOK_PYTHON_ENV"])
START = Path(os.environ["HUB_CONFIG_DIR"]).parents[2] / "jupyterhub/singleuser/start_notebook.py"
INSTANCE = os.environ["SLIPWAY_INSTANCE"]
PROGRAMS = os.pathsep.join([str(NOTEBOOK / "bin"), str(PLATFORM / "bin")])

# Of the hub's own variables: how this machine and its network are. Its secrets are files, and named nowhere.
KEPT = re.compile(r"TMPDIR|TZ|LANG|LC_\w+|SSL_\w+|\w+_CA_BUNDLE|PIP_\w+|\w*(_proxy|_PROXY)")


class NotebookProcess(SimpleLocalProcessSpawner):
    def load_state(self, state):
        """The number that the hub noted may be another process's by now; the hub would end it."""
        super().load_state(state)
        if self.pid and not self.is_ours(self.pid):
            self.pid = 0

    def is_ours(self, pid):
        try:
            environment = psutil.Process(pid).environ()
        except psutil.Error:
            return False
        return (environment.get("SLIPWAY_INSTANCE"), environment.get("JUPYTERHUB_USER")) == (
            INSTANCE,
            self.user.name,
        )


def folders(spawner):
    return os.pathsep.join([PROGRAMS, f"{spawner.home_dir}/.local/bin", os.environ.get("PATH", os.defpath)])


def without_proxy(_spawner):
    """The rest of the platform is on this machine, whatever proxy leads out of it."""
    others = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return ",".join(filter(None, [others, "localhost", "127.0.0.1"]))


c.JupyterHub.spawner_class = NotebookProcess
# The hub's rule on names leaves nothing that would part a path or bring two names into one folder.
c.SimpleLocalProcessSpawner.home_dir_template = os.environ["NOTEBOOK_HOMES"] + "/{username}"
c.Spawner.ip = "127.0.0.1"
c.Spawner.cmd = [
    str(PLATFORM / "bin/python"),
    str(START),
    str(PLATFORM / "bin/python"),
    "-m",
    "jupyterhub.singleuser",
]
# In a container there is often nobody else to run as.
c.Spawner.args = ["--allow-root"] if os.geteuid() == 0 else []
c.Spawner.env_keep = [name for name in os.environ if KEPT.fullmatch(name)]
c.Spawner.environment.update(
    {
        "SLIPWAY_INSTANCE": INSTANCE,
        "SLIPWAY_ROLE": "notebook",
        "NOTEBOOK_HOME_TEMPLATE": os.environ["NOTEBOOK_HOME_TEMPLATE"],
        "PATH": folders,
        # For login shells, which begin with the system's PATH (.profile in each home).
        "NOTEBOOK_PROGRAMS": PROGRAMS,
        "no_proxy": without_proxy,
        "NO_PROXY": without_proxy,
        # Kernels run in the environment for notebooks, the server itself in that of the services.
        "JUPYTER_PATH": str(NOTEBOOK / "share/jupyter"),
        # Where `pip install` puts what a user adds; on macOS it would be another folder.
        "PYTHONUSERBASE": lambda spawner: f"{spawner.home_dir}/.local",
        "PYTHONUTF8": "1",
        # As in the notebook image.
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
)
