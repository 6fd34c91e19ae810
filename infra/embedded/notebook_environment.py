"""What users' kernels and terminals run in, as the notebook image has it: an environment over that of the
services, which adds the `slipway` command and can be added to without reaching the services; and what is
copied into each home.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from infra.embedded.installer import HERE, Work
from infra.launcher.paths import LOGS, ROOT, STATE
from infra.launcher.problem import Problem
from infra.launcher.pythons import follow, make_venv, pip
from infra.launcher.shell import Background, last_lines

NOTEBOOK = STATE / "venv-notebook"
TEMPLATE = STATE / "notebook-home"
"""What is copied into each user's home."""
MARK = NOTEBOOK / "slipway-lock"
SINGLEUSER = ROOT / "jupyterhub/singleuser"
EXAMPLES = ROOT / "jupyterhub/examples"
PIPELINES = ROOT / "pipelines"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
PROJECT = ("MLproject", "python_env.yaml")

# Run in this environment, and not in that of the services, where their own scripts would.
PROGRAMS = {"pip": "pip", "pip3": "pip", "uvicorn": "uvicorn"}
PROGRAM = """\
#!/bin/sh
exec "$(dirname "$0")/python" -m {module} "$@"
"""

# What a user installs goes into their home, for this environment's pip and no other.
PIP_SETTINGS = """\
[install]
user = true
"""
PROFILE = """\
# Login shells begin with the system's PATH: this gives them the notebook's.
PATH=${NOTEBOOK_PROGRAMS:+$NOTEBOOK_PROGRAMS:$HOME/.local/bin:}$PATH
if [ -n "$BASH" ] && [ -r ~/.bashrc ]; then . ~/.bashrc; fi
"""


def is_made(platform_mark: str) -> bool:
    try:
        return MARK.read_text(encoding="utf-8") == mark(platform_mark)
    except OSError:
        return False


def make(platform: Path, platform_mark: str, work: Work) -> None:
    """`platform` is the services' Python."""
    MARK.unlink(missing_ok=True)
    made_of = mark(platform_mark)
    make_venv(str(platform), NOTEBOOK, "--without-pip", "--system-site-packages")
    put_over(platform)
    add_programs()
    (NOTEBOOK / "pip.conf").write_text(PIP_SETTINGS, encoding="utf-8")
    add_jupyter_settings(platform)
    make_template()
    # Both import half of everything for the first time: side by side it takes half as long.
    linking = link_environment()
    try:
        add_slipway(work)
        while linking.status() is None:
            time.sleep(0.05)
    finally:
        linking.end()
    if linking.status() != 0:
        said = "\n".join(last_lines(linking.log, 10))
        raise Problem(f"The project's environment could not be linked:\n{said}")
    MARK.write_text(made_of, encoding="utf-8")


def mark(platform_mark: str) -> str:
    """Of everything that is put into it."""
    total = hashlib.sha256(platform_mark.encode())
    for path in sources():
        total.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()


def sources() -> Iterator[Path]:
    yield ROOT / "pyproject.toml"
    yield Path(__file__)
    for folder in (PIPELINES, EXAMPLES, SINGLEUSER):
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and "__pycache__" not in p.parts)


def put_over(platform: Path) -> None:
    """The services' packages come after its own and before what a user adds (pip puts that into ~/.local)."""
    (NOTEBOOK / site_packages(NOTEBOOK) / "slipway-platform.pth").write_text(
        f"{platform.parents[1] / site_packages(platform.parents[1])}\n", encoding="utf-8"
    )


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python3.*/site-packages")
    return found.relative_to(environment)


def add_programs() -> None:
    for name, module in PROGRAMS.items():
        write_program(NOTEBOOK / "bin" / name, PROGRAM.format(module=module))
    write_program(NOTEBOOK / "bin/mlflow", (SINGLEUSER / "mlflow").read_text(encoding="utf-8"))


def write_program(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def add_slipway(work: Work) -> None:
    """Built from a copy, since the checkout may be read-only, with the setuptools of the lock."""
    with tempfile.TemporaryDirectory(dir=STATE, prefix="slipway-package-") as folder:
        shutil.copy(ROOT / "pyproject.toml", folder)
        shutil.copytree(PIPELINES, Path(folder) / "pipelines", ignore=LEFT_OUT)
        for path in Path(folder).rglob("*"):
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
        command = [
            *pip(NOTEBOOK / "bin/python"),
            "install",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
        ]
        environment = {**HERE, "TMPDIR": folder}
        follow([*command, folder], LOGS / "slipway-package.log", work.screen, environment, work.hold)


def add_jupyter_settings(platform: Path) -> None:
    """JupyterLab itself runs in the services' environment, so that nothing a user adds can break it."""
    prefix = platform.parents[1]
    configuration, settings = prefix / "etc/jupyter", prefix / "share/jupyter/lab/settings"
    for folder in (configuration, settings):
        folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SINGLEUSER / "jupyter_lab_config.json", configuration)
    shutil.copy(SINGLEUSER / "overrides.json", settings)
    kernel = NOTEBOOK / "share/jupyter/kernels/python3"
    shutil.copytree(prefix / "share/jupyter/kernels/python3", kernel)
    described = json.loads((kernel / "kernel.json").read_text(encoding="utf-8"))
    described["argv"][0] = str(NOTEBOOK / "bin/python")
    (kernel / "kernel.json").write_text(json.dumps(described, indent=1), encoding="utf-8")


def make_template() -> None:
    """As jupyterhub/singleuser/Dockerfile: the examples and the project for `mlflow run`."""
    if TEMPLATE.exists():
        shutil.rmtree(TEMPLATE)
    shutil.copytree(EXAMPLES, TEMPLATE / "examples", ignore=LEFT_OUT)
    project = TEMPLATE / "examples/red_blue"
    project.mkdir()
    for name in PROJECT:
        shutil.copy(PIPELINES / "red_blue" / name, project)
    for path in (TEMPLATE, *TEMPLATE.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IWUSR)
    (TEMPLATE / ".profile").write_text(PROFILE, encoding="utf-8")


def link_environment() -> Background:
    """Into the template, the link by which MLflow takes this environment for the project's instead of
    building one.
    """
    return Background(
        [str(NOTEBOOK / "bin/python"), "-m", "pipelines.red_blue", "link-environment"],
        LOGS / "link-environment.log",
        {
            "MLFLOW_ENV_ROOT": str(TEMPLATE / ".mlflow/envs"),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONPATH": str(ROOT),
            "PYTHONNOUSERSITE": "1",
        },
    )
