"""What the MLproject and the package promise to those who install and run them."""

from pathlib import Path

import pytest
import yaml

from pipelines import source
from pipelines.errors import PipelineError
from pipelines.red_blue import environment

REPOSITORY = Path(__file__).parents[3]
PROJECT = REPOSITORY / "pipelines/red_blue"


def pins(lines):
    return dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))


def test_the_projects_environment_has_the_platforms_versions():
    platform = pins((REPOSITORY / "constraints.txt").read_text().splitlines())
    project = pins(yaml.safe_load((PROJECT / "python_env.yaml").read_text())["dependencies"])
    assert project == {name: platform[name] for name in project}
    assert {"mlflow", "scikit-learn", "skops", "pandas", "numpy", "scipy", "matplotlib"} <= set(project)


def test_the_environment_is_linked_once_and_again(tmp_path, monkeypatch):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/activate").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "envs"))
    first, second = environment.link_environment(), environment.link_environment()
    assert first == second
    assert first.resolve() == tmp_path / "venv"
    assert [path.name for path in (tmp_path / "envs").iterdir()] == [first.name]


def test_an_environment_that_mlflow_built_is_not_thrown_away(tmp_path, monkeypatch):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/activate").touch()
    monkeypatch.setattr("sys.prefix", str(tmp_path / "venv"))
    monkeypatch.setenv("MLFLOW_ENV_ROOT", str(tmp_path / "envs"))
    link = environment.link_environment()
    link.unlink()
    link.mkdir()
    with pytest.raises(PipelineError, match="remove it first"):
        environment.link_environment()


def test_a_python_without_an_environment_is_told_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    with pytest.raises(PipelineError, match="--env-manager local"):
        environment.link_environment()


def test_a_folder_outside_of_git_has_no_commit(tmp_path):
    assert source.commit_of(tmp_path) is None


def test_a_copy_that_lies_inside_a_clone_but_is_not_tracked_has_no_commit(tmp_path):
    git = lambda *arguments: source._git(tmp_path, *arguments)  # noqa: E731
    assert git("init", "--quiet") is not None
    (tmp_path / "code").mkdir()
    (tmp_path / "code/one.py").touch()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy/one.py").touch()
    git("add", "code")
    git("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "one")
    commit = source.commit_of(tmp_path / "code")
    assert (commit.id, commit.changed) == (git("rev-parse", "HEAD"), False)
    assert source.commit_of(tmp_path / "copy") is None
    (tmp_path / "code/one.py").write_text("changed")
    assert source.commit_of(tmp_path / "code").changed
