"""MLflow's own pages and serving's under the gateway's policy, in a browser: they work, and what users have
stored runs nothing that its readers may do."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.integration.gateway.conftest import Gateway
from tests.support.browser import chromium
from tests.support.processes import Processes, free_port, program

pytestmark = pytest.mark.browser

STORED = """<!doctype html><title>stored</title><p id="text">A report</p>
<script>fetch('/auth/whoami', {credentials: 'include'}).then(() => { document.title = 'it asked'; });
document.getElementById('text').textContent = 'A report with a script';</script>"""


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Iterator[Gateway]:
    """A gateway with a real MLflow behind it."""
    folder = tmp_path_factory.mktemp("tracked")
    processes = Processes(folder)
    port = free_port()
    server = processes.start(
        "mlflow",
        [program("mlflow"), "server", "--host=127.0.0.1", f"--port={port}", "--static-prefix=/mlflow",
         "--workers=1", "--serve-artifacts", f"--artifacts-destination={folder}/artifacts",
         f"--backend-store-uri=sqlite:///{folder}/mlflow.db"],
        environment={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
    )  # fmt: skip
    try:
        processes.wait_for("mlflow", server, f"http://127.0.0.1:{port}/mlflow/", seconds=120)
        yield Gateway(folder, processes, MLFLOW_UPSTREAM=f"127.0.0.1:{port}")
    finally:
        processes.stop_all()


@pytest.fixture(scope="module")
def reader(tracked) -> Iterator[BrowserContext]:
    with chromium() as browser:
        context = browser.new_context(
            base_url=f"http://127.0.0.1:{tracked.port}", extra_http_headers={"Authorization": "Bearer ann"}
        )
        context.set_default_timeout(20_000)
        yield context


@pytest.fixture
def page(reader) -> Iterator[Page]:
    page = reader.new_page()
    yield page
    page.close()


@pytest.fixture
def complaints(page) -> list[str]:
    """What the browser says against the page: refusals by a policy, and errors in scripts."""
    heard: list[str] = []
    page.on(
        "console", lambda message: "Content Security Policy" in message.text and heard.append(message.text)
    )
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


@pytest.fixture(scope="module")
def run(tracked) -> str:
    """The id of a run with metrics, a picture, a table and a page."""
    code = f"""
import mlflow, pathlib, matplotlib.pyplot as plt
mlflow.set_tracking_uri("http://127.0.0.1:{tracked.notebooks_port}/mlflow")
with mlflow.start_run() as run:
    for step in range(5): mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text({STORED!r}, "page.html")
    mlflow.log_table({{"a": [1, 2]}}, "table.json")
    figure, axes = plt.subplots(); axes.plot([1, 2]); mlflow.log_figure(figure, "picture.png")
print(run.info.run_id)
"""
    done = subprocess.run(
        [program("python"), "-c", code],
        env={"MLFLOW_TRACKING_TOKEN": "ann", "PATH": "/usr/bin:/bin", "HOME": str(tracked.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("/mlflow/", "Experiments"),
        ("/mlflow/#/experiments/0/runs", "Default"),
        ("/mlflow/#/experiments/0/runs/{run}", "loss"),
        ("/mlflow/#/experiments/0/runs/{run}/model-metrics", "loss"),
        ("/mlflow/#/models", "Model"),
    ],
)
def test_mlflows_pages_work_under_the_policy(page, complaints, run, address, shown):
    page.goto(address.format(run=run))
    expect(page.locator("body")).to_contain_text(shown)
    page.wait_for_timeout(1000)
    assert complaints == []


@pytest.mark.parametrize("name", ["picture.png", "table.json"])
def test_stored_files_are_shown(page, complaints, run, name):
    page.goto(f"/mlflow/#/experiments/0/runs/{run}/artifacts/{name}")
    if name == "picture.png":
        picture = page.locator("img[src^='blob:'], img[src*='get-artifact']").first
        expect(picture).to_be_visible()
        assert picture.evaluate("picture => picture.naturalWidth") > 0
    else:
        expect(page.locator("body")).to_contain_text("a")
    assert complaints == []


def test_a_stored_page_is_shown_and_cannot_ask_for_its_reader(page, run):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"/mlflow/#/experiments/0/runs/{run}/artifacts/page.html")
    shown = page.frame_locator("iframe").locator("#text")
    expect(shown).to_contain_text("A report")
    assert not [url for url in asked if "/auth/whoami" in url]


def test_a_stored_page_that_is_opened_is_a_download(page, tracked, run):
    url = f"http://127.0.0.1:{tracked.port}/mlflow/get-artifact?path=page.html&run_uuid={run}"
    answer = httpx.get(url, headers={"Authorization": "Bearer ann"})
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
