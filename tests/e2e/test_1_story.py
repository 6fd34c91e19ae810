"""The story of the README, in its order: each test is a chapter and needs those before it.

A data scientist signs up, is approved, runs the example notebook in a server of their own, sees the runs,
registers the best model, rolls it out, and an application gets predictions for raw points. Then the
platform is stopped and started, and everything is still there.
"""

from __future__ import annotations

import json
import os
import re
from types import SimpleNamespace

import httpx
import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient
from playwright.sync_api import expect

from pipelines.cli import main as slipway_command
from pipelines.red_blue.data import reference_set
from tests.e2e import people
from tests.support.processes import free_port

pytestmark = pytest.mark.browser
WAYS = ("docker", "embedded")

# On a platform that has an ada already, another name.
SCIENTIST, PASSWORD = os.environ.get("SLIPWAY_TEST_SCIENTIST", "ada"), "lovelace-1843"
NOTEBOOK = "examples/red-blue.ipynb"
FIRST_CELL = """import mlflow
with mlflow.start_run() as run:
    print(run.data.tags['mlflow.user'])"""

SERVE_BY_MLFLOW = """
mlflow models serve --model-uri models:/red-blue@production --port {port} > serve.log 2>&1 &
server=$!
python - <<'END'
import json, time, urllib.request
body = json.dumps({{"dataframe_records": [{{"Coord_X": 1.5, "Coord_Y": -2.0}}]}}).encode()
headers = {{"Content-Type": "application/json"}}
request = urllib.request.Request("http://127.0.0.1:{port}/invocations", body, headers)
for _ in range(120):
    time.sleep(0.5)
    try:
        print(urllib.request.urlopen(request).read().decode())
        break
    except OSError:
        pass
else:
    raise SystemExit(open("serve.log").read())
END
answered=$?
kill $server
wait $server
exit $answered
"""


@pytest.fixture(scope="session")
def story_so_far(platform):
    """What one chapter leaves for the next, on one platform."""
    return SimpleNamespace(broken="")


@pytest.fixture(autouse=True)
def story(story_so_far):
    """A chapter whose story broke off earlier fails at once, for that reason."""
    if story_so_far.broken:
        pytest.fail(f"the story broke off at {story_so_far.broken}", pytrace=False)
    return story_so_far


def test_the_front_page_says_what_is_here(platform, person, screenshot):
    page = person("visitor")
    page.goto("/")
    for link in ("/hub", "/mlflow", "/serving"):
        expect(page.locator(f'a[href^="{link}"]').first).to_be_visible()
    expect(page.locator("body")).to_contain_text(re.compile("all systems", re.I), timeout=60_000)
    screenshot(page, "portal")


def test_whoever_signs_up_waits_for_approval(person, screenshot):
    page = person(SCIENTIST)
    people.sign_up(page, SCIENTIST, PASSWORD)
    expect(page.locator("#signed-up")).to_contain_text("waits for an administrator")
    people.log_in(page, SCIENTIST, PASSWORD)
    expect(page.locator(".login_error")).to_be_visible()
    assert "/hub/login" in page.url


def test_an_administrator_logs_in_and_approves(platform, person, screenshot):
    page = person(platform.admin)
    people.log_in(page, platform.admin, platform.admin_password)
    people.approve(page, SCIENTIST)
    screenshot(page, "accounts")


def test_the_scientist_starts_a_server(person, screenshot, record_property):
    page = person(SCIENTIST)
    people.log_in(page, SCIENTIST, PASSWORD)
    seconds = people.start_server(page, SCIENTIST)
    record_property("notebook_server_start_seconds", round(seconds, 1))
    screenshot(page, "jupyterlab")


def test_the_example_notebook_runs_top_to_bottom(person, screenshot):
    page = person(SCIENTIST)
    notebook = people.run_notebook(page, SCIENTIST, NOTEBOOK)
    assert not people.errors(notebook["cells"])
    screenshot(page, "notebook")


def test_the_first_cell_of_a_new_notebook_can_start_a_run(person, story):
    """Nothing typed but the two lines: the address, the token and the person's name are there."""
    page = person(SCIENTIST)
    content = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": "first",
                "metadata": {},
                "outputs": [],
                "source": FIRST_CELL,
            }
        ],
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    cookies = {
        cookie["name"]: cookie["value"] for cookie in page.context.cookies() if SCIENTIST in cookie["path"]
    }
    saved = page.request.put(
        f"/user/{SCIENTIST}/api/contents/first.ipynb",
        headers={"X-XSRFToken": cookies["_xsrf"]},
        data={"type": "notebook", "content": content},
    )
    assert saved.ok, saved.text()
    notebook = people.run_notebook(page, SCIENTIST, "first.ipynb", minutes=2)
    assert not people.errors(notebook["cells"])
    assert "".join(notebook["cells"][0]["outputs"][0]["text"]).startswith(SCIENTIST)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("slipway register --best reference_accuracy --experiment red-blue --name red-blue", "2"),
        ('slipway rollout red-blue 2 --reason "better on the reference set"', "2"),
        ("slipway status red-blue", "better on the reference set"),
        ("slipway rollback red-blue", "1"),
        (
            "cd ~/examples && mlflow run red_blue -P model=knn -P sample=3 --experiment-name red-blue",
            "succeeded",
        ),
    ],
)
def test_the_commands_of_the_tour_work_in_a_terminal(installation, command, says):
    done = installation.in_terminal(SCIENTIST, command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout + done.stderr


def test_the_runs_their_pictures_and_models_are_in_the_mlflow_page(
    person, screenshot, story, platform, monkeypatch
):
    page = person(SCIENTIST)
    story.token = people.api_token(page, SCIENTIST)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", story.token)
    story.client = MlflowClient(f"{platform.url}/mlflow")
    experiment = story.client.get_experiment_by_name("red-blue")
    runs = story.client.search_runs([experiment.experiment_id])
    assert {run.data.tags["mlflow.user"] for run in runs} == {SCIENTIST}
    best = max(runs, key=lambda run: run.data.metrics.get("reference_accuracy", 0))
    story.run = best
    pictures = {item.path for item in story.client.list_artifacts(best.info.run_id)}
    assert any(path.endswith(".png") or "plot" in path for path in pictures), pictures

    page.goto(f"/mlflow/#/experiments/{experiment.experiment_id}/runs")
    expect(page.get_by_text(best.info.run_name).first).to_be_visible(timeout=60_000)
    screenshot(page, "mlflow-runs")
    page.goto(f"/mlflow/#/experiments/{experiment.experiment_id}/runs/{best.info.run_id}/artifacts")
    expect(page.get_by_text(re.compile(r"\.png")).first).to_be_visible(timeout=60_000)
    page.get_by_text(re.compile(r"decision.*\.png")).first.click()
    expect(page.locator("img[src*='blob:'], .image-outer-container, img[alt*='png']").first).to_be_visible(
        timeout=60_000
    )
    screenshot(page, "mlflow-picture")


def test_the_best_run_is_registered_and_rolled_out(platform, story, monkeypatch, record_property):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"{platform.url}/mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", story.token)
    monkeypatch.setenv("SLIPWAY_SERVING_URL", f"{platform.url}/serving")
    before = production_of(story.client)
    registered = slipway("register", story.run.info.run_id, "--name", "red-blue")
    version = max(int(v.version) for v in story.client.search_model_versions("name='red-blue'"))
    assert str(version) in registered
    rolled_out = slipway("rollout", "red-blue", str(version), "--reason", "the story")
    assert re.search(r"\d", rolled_out)
    story.version = str(version)
    now = story.client.get_model_version_by_alias("red-blue", "production")
    assert (now.version, now.current_stage) == (story.version, "Production")
    if before is not None:
        assert story.client.get_model_version("red-blue", before).current_stage == "Archived"


def production_of(client: MlflowClient) -> str | None:
    try:
        return client.get_model_version_by_alias("red-blue", "production").version
    except mlflow.exceptions.MlflowException:
        return None


def slipway(*arguments: str) -> str:
    done = CliRunner().invoke(slipway_command, arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_an_application_gets_a_key_of_its_own(installation, platform, story):
    made = installation.in_terminal(SCIENTIST, "slipway keys create shop --models red-blue --days 90 --json")
    assert made.returncode == 0, made.stdout + made.stderr
    key = json.loads(made.stdout)["key"]
    headers = {"Authorization": f"Bearer {key}"}
    story.application = httpx.Client(base_url=platform.url, headers=headers, timeout=60)
    listed = installation.in_terminal(SCIENTIST, "slipway keys list").stdout
    assert "shop" in listed and "red-blue" in listed
    assert key not in listed


def test_an_application_gets_predictions_for_raw_points(platform, story, record_property):
    points = reference_set()
    assert platform.post("/serving/predict", json={"inputs": []}).status_code == 401
    answer = story.application.post(
        "/serving/predict", json={"inputs": points[["Coord_X", "Coord_Y"]].to_dict(orient="records")}
    )
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["model"], said["version"]) == ("red-blue", story.version)
    accuracy = sum(a == b for a, b in zip(said["predictions"], points["label"], strict=True)) / len(points)
    record_property("reference_accuracy", accuracy)
    assert accuracy == pytest.approx(story.run.data.metrics["reference_accuracy"], abs=1e-9)
    assert accuracy > 0.9


def test_mlflows_scoring_protocol_gives_the_same_answers(story):
    points = reference_set()[["Coord_X", "Coord_Y"]].head(50)
    asked = {"inputs": points.to_dict(orient="records")}
    ours = story.application.post("/serving/predict", json=asked).json()
    theirs = story.application.post(
        "/serving/models/red-blue/invocations",
        json={"dataframe_split": points.to_dict(orient="split", index=False)},
    )
    assert theirs.status_code == 200, theirs.text
    assert theirs.json()["predictions"] == ours["predictions"]


def test_mlflows_own_command_serves_the_same_model(installation):
    """As the article types it, in the scientist's terminal, beside the platform."""
    done = installation.in_terminal(SCIENTIST, SERVE_BY_MLFLOW.format(port=free_port()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Red" in done.stdout or "Blue" in done.stdout


def test_the_front_page_shows_what_is_in_production(person, screenshot, story):
    page = person(SCIENTIST)
    page.goto("/mlflow/")  # logs the browser in at the door
    page.goto("/")
    expect(page.locator("body")).to_contain_text(SCIENTIST, timeout=30_000)
    expect(page.locator("body")).to_contain_text("red-blue", timeout=30_000)
    screenshot(page, "portal-logged-in")
    page.set_viewport_size({"width": 390, "height": 844})
    screenshot(page, "portal-phone")
    page.set_viewport_size({"width": 1280, "height": 860})


def test_after_down_and_up_everything_is_still_there(installation, story, person, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", story.token)
    served = story.application.get("/serving/visitors").json()["models"]["red-blue"]["total"]
    installation.slipway("down")
    assert installation.running() == []
    installation.slipway("up")

    run = story.client.get_run(story.run.info.run_id)
    assert run.data.metrics == story.run.data.metrics
    now = story.client.get_model_version_by_alias("red-blue", "production")
    assert (now.version, now.current_stage) == (story.version, "Production")
    point = {"inputs": [{"Coord_X": 1.5, "Coord_Y": -2.0}]}
    answer = story.application.post("/serving/predict", json=point)
    assert (answer.status_code, answer.json()["version"]) == (200, story.version)
    assert story.application.get("/serving/visitors").json()["models"]["red-blue"]["total"] == served + 1

    page = person(SCIENTIST)
    people.log_in(page, SCIENTIST, PASSWORD)
    people.start_server(page, SCIENTIST)
    files = page.request.get(f"/user/{SCIENTIST}/api/contents/").json()["content"]
    assert {"first.ipynb", "examples"} <= {file["name"] for file in files}
    saved = page.request.get(f"/user/{SCIENTIST}/api/contents/{NOTEBOOK}").json()["content"]
    assert any(cell.get("outputs") for cell in saved["cells"]), "the run notebook was kept with its outputs"
