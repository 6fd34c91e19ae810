"""From the registry to answers: what is in Production is served, and nothing that happens there stops it."""

import signal
import threading
import time

import pytest

POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}  # red for version 1, blue for version 2


@pytest.fixture
def eventually(helpers):
    return helpers.eventually


@pytest.fixture(scope="module")
def one_server(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="1")
    server = start_serving(tmp_path_factory.mktemp("following"))
    yield server
    server.stop()


@pytest.fixture
def serving(one_server, registry, eventually):
    """A server with version 1 of red-blue live and nothing else."""
    registry.production(red_blue="1")
    eventually(lambda: one_server.process.poll() is None and version(one_server) == "1", what="version 1")
    eventually(lambda: len(one_server.get("/models").json()["models"]) == 1, what="red-blue alone")
    return one_server


def version(server):
    return server.post("/predict", POINT).json().get("version")


def test_what_is_in_production_is_served_with_its_facts(serving, registry, eventually):
    assert serving.post("/predict", POINT).json() == {
        "model": "red-blue",
        "version": "1",
        "predictions": ["Red"],
    }
    eventually(lambda: serving.get("/models/red-blue").json()["runtime"] != "pyfunc", what="its preparation")
    (model,) = serving.get("/models").json()["models"]
    assert model == serving.get("/models/red-blue").json()
    assert {key: model[key] for key in ("name", "version", "alias", "state", "runtime", "flavor")} == {
        "name": "red-blue",
        "version": "1",
        "alias": "production",
        "state": "live",
        "runtime": "neighbours",
        "flavor": "sklearn",
    }
    assert model["run_id"] == registry.client.get_model_version("red-blue", "1").run_id
    assert [column["name"] for column in model["signature"]["inputs"]] == ["Coord_X", "Coord_Y"]
    assert model["failure"] is None


def test_a_rollout_and_a_rollback_are_followed_without_a_restart(serving, registry, eventually):
    registry.production(red_blue="2")
    eventually(lambda: version(serving) == "2", what="the rollout")
    assert serving.post("/predict", POINT).json()["predictions"] == ["Blue"]
    assert serving.get("/models/red-blue").json()["previous"]["version"] == "1"
    registry.production(red_blue="1")
    eventually(lambda: version(serving) == "1", seconds=3, what="the rollback to the warm version")


@pytest.mark.parametrize(
    ("broken", "why"), [("3", "a file is missing or cut short"), ("4", "its own input example")]
)
def test_a_version_that_cannot_be_served_leaves_the_old_one_and_says_why(
    serving, registry, eventually, broken, why
):
    registry.production(red_blue=broken)
    model = eventually(
        lambda: (found := serving.get("/models/red-blue").json())["failure"] and found, what="the failure"
    )
    assert (model["version"], model["wanted"], model["state"]) == ("1", broken, "behind")
    assert model["failure"]["version"] == broken
    assert why in model["failure"]["reason"]
    assert version(serving) == "1"
    ready = serving.get("/ready")
    assert ready.status_code == 200
    assert why in ready.json()["models"]["red-blue"]["reason"]
    metrics = serving.get("/metrics").text
    assert f'slipway_serving_load_failures_total{{model="red-blue",version="{broken}"}}' in metrics
    assert 'slipway_serving_model_behind{model="red-blue"} 1.0' in metrics
    assert why in serving.log.read_text()
    registry.production(red_blue="2")
    eventually(lambda: version(serving) == "2", what="the rollout after a broken one")


def test_a_model_that_never_loaded_says_so_instead_of_being_unknown(serving, registry, eventually):
    registry.production()
    eventually(lambda: serving.get("/models/red-blue").status_code == 404, what="the end of serving it")
    registry.production(red_blue="3")
    eventually(
        lambda: serving.get("/models/red-blue").json().get("state") == "failed", what="the failure to load"
    )
    answer = serving.post("/predict", POINT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_ready")
    assert "Retry-After" in answer.headers
    assert "cut short" in answer.json()["error"]["message"]
    assert serving.get("/models").json() == {"models": []}


def test_a_model_that_leaves_production_is_served_no_more(serving, registry, eventually):
    registry.production()
    eventually(lambda: serving.get("/models").json() == {"models": []}, what="the end of serving it")
    answer = serving.post("/models/red-blue/predict", POINT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_model")
    assert serving.get("/ready").status_code == 200


def test_a_stack_with_nothing_in_production_is_healthy(registry, serve):
    registry.production()
    server = serve()
    answer = server.post("/predict", POINT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "no_model")


def test_with_mlflow_stopped_it_serves_on_and_comes_back_from_its_cache(
    serving, registry, mlflow_server, eventually
):
    registry.production(red_blue="2")
    eventually(lambda: version(serving) == "2", what="the rollout")
    since = serving.get("/models/red-blue").json()["since"]
    mlflow_server.stop()
    try:
        eventually(
            lambda: serving.get("/ready").json()["registry"]["reachable"] is False, what="noticing the outage"
        )
        assert serving.get("/ready").json()["registry"]["error"]
        assert version(serving) == "2"
        serving.stop()
        serving.start()
        model = serving.get("/models/red-blue").json()
        assert (model["version"], model["since"]) == ("2", since)
        eventually(
            lambda: serving.get("/models/red-blue").json()["previous"], what="the warm previous version"
        )
        assert serving.post("/predict", POINT).json()["predictions"] == ["Blue"]
        assert "slipway_serving_registry_up 0.0" in serving.get("/metrics").text
    finally:
        mlflow_server.start()
    registry.production(red_blue="1")
    eventually(lambda: version(serving) == "1", what="following again")
    assert serving.get("/ready").json()["registry"]["reachable"] is True


def test_a_killed_process_comes_back_with_what_was_live(serving, mlflow_server):
    serving.stop(signal.SIGKILL)
    serving.start()
    assert version(serving) == "1"


def test_under_load_rollouts_back_and_forth_fail_no_request_and_mix_no_versions(
    serving, registry, eventually
):
    colours = {"1": "Red", "2": "Blue"}
    wrong, seen, stop = [], set(), threading.Event()

    def ask():
        while not stop.is_set():
            answer = serving.post("/predict", POINT)
            body = answer.json()
            if answer.status_code != 200 or body["predictions"] != [colours[body["version"]]]:
                wrong.append(answer.text)
            seen.add(body.get("version"))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for target in ("2", "1", "2", "1"):
        registry.production(red_blue=target)
        eventually(lambda target=target: version(serving) == target, what=f"version {target}")
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert seen == {"1", "2"}


def test_a_look_costs_the_registry_one_request_however_many_models_there_are(
    serving, registry, mlflow_server, eventually
):
    registry.production(red_blue="1", mixed="1", tensor="1")
    eventually(lambda: len(serving.get("/models").json()["models"]) == 3, what="three models")
    before = len(mlflow_server.log.read_text())
    time.sleep(3)
    requests = [line for line in mlflow_server.log.read_text()[before:].splitlines() if " HTTP/1.1" in line]
    looks = [line for line in requests if "registered-models/search" in line]
    assert 1 <= len(looks) <= 11, requests  # a look every 0.3 s
    others = [line for line in requests if line not in looks]
    assert len(others) <= 1, others  # now and then, for all versions, which runtime is pinned
    assert all("model-versions/search" in line for line in others)
