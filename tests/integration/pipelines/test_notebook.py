"""The example notebook, top to bottom, with nothing typed."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[3] / "jupyterhub/examples/red-blue.ipynb"


@pytest.fixture(scope="module")
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def text_of(cell) -> str:
    return "".join(output.get("text", "") for output in cell.get("outputs", []))


def test_the_notebook_runs_from_the_data_to_an_answer_of_production(
    notebook, serving_url, client, monkeypatch, tmp_path
):
    assert "python3" in KernelSpecManager().find_kernel_specs()
    monkeypatch.setenv("SLIPWAY_SERVING_URL", serving_url)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    cells = {cell["id"]: cell for cell in notebook.cells}
    assert f"logs to {os.environ['MLFLOW_TRACKING_URI']}" in text_of(cells["setup"])
    assert text_of(cells["train"]).count("reference accuracy") == 13
    assert "serving answers with version" in text_of(cells["rollout"])
    assert "served accuracy over 5,000 points: 0.9890; the run logged 0.9890" in text_of(cells["ask"])
    assert client.get_model_version_by_alias("red-blue", "production").current_stage == "Production"
    pictures = [
        o for cell in notebook.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})
    ]
    assert len(pictures) == 5


def test_the_notebook_in_git_has_no_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
