"""MLflow's own command, for notebooks: projects and models run in the environment that is there.

MLflow would build one for each of them, which takes minutes and pyenv; `--env-manager` still asks for that.
"""

from __future__ import annotations

from mlflow.cli import cli

HERE = {"env_manager": "local"}
DEFAULTS = {"run": HERE, "models": {"serve": HERE, "predict": HERE}}
"""Options that were not typed, as click takes them."""


def main() -> None:
    cli(prog_name="mlflow", default_map=DEFAULTS)


if __name__ == "__main__":
    main()
