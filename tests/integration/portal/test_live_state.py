"""The portal's checks against services that are well, slow, broken, away and back."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil

from tests.integration.portal.conftest import CHECK_SECONDS, READER_TOKEN, TIMEOUT_SECONDS


def test_all_is_well_when_every_service_answers(stack):
    state = stack.wait_until(lambda state: state["overall"] == "up" and state["models"])
    assert {service["status"] for service in state["services"].values()} == {"up"}
    assert state["models"][0]["name"] == "red-blue"
    assert state["models"][0]["version"] == "3"
    assert state["models"][0]["answered"] == state["answered"] == 1234
    assert "https://ml.example.com/serving/predict" in state["example"]
    assert '"Coord_X"' in state["example"]
    assert "All systems up" in stack.get("/").text


def test_only_serving_is_shown_the_token_that_reads(stack):
    stack.wait_until(lambda state: state["overall"] == "up" and state["models"])
    assert {name for name, one in stack.upstreams.items() if one.credentials != {None}} == {"serving"}
    assert READER_TOKEN not in stack.processes.log("portal")


def test_who_says_to_be_somebody_is_not_believed(stack):
    answer = stack.client.get("/portal/state.json", headers={"X-Remote-User": "ada"})
    assert answer.status_code == 401
    answer = stack.client.get("/", headers={"X-Remote-User": "ada", "X-Gateway-Secret": "guess"})
    assert "ada" not in answer.text


def test_a_service_that_goes_away_and_comes_back_is_followed(stack):
    stack.wait_until(lambda state: state["overall"] == "up")
    mlflow = stack.upstreams["mlflow"]

    mlflow.stop()
    state = stack.wait_until(lambda state: state["services"]["mlflow"]["reason"] == "no connection")
    assert state["overall"] == "down"
    assert state["summary"] == "Some services are down: Experiments"
    assert {key for key, service in state["services"].items() if service["status"] == "up"} == {
        "hub",
        "auth",
        "serving",
    }
    assert "Some services are down" in stack.get("/").text

    mlflow.start()
    stack.wait_until(lambda state: state["overall"] == "up")


def test_a_slow_service_is_down_and_delays_neither_the_page_nor_the_others(stack):
    stack.wait_until(lambda state: state["overall"] == "up")
    stack.upstreams["hub"].delay_seconds = 60
    stack.wait_until(lambda state: state["services"]["hub"]["status"] == "down")

    slowest = 0.0
    for _ in range(30):
        began = time.monotonic()
        assert stack.get("/").status_code == 200
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.03)
    assert slowest < TIMEOUT_SECONDS / 2

    # While one check hangs, news of another service arrives all the same.
    stack.upstreams["auth"].status = 503
    state = stack.wait_until(lambda state: state["services"]["auth"]["status"] == "down")
    assert state["services"]["auth"]["reason"] == "it answers 503"
    assert state["services"]["hub"]["reason"] == f"no answer within {TIMEOUT_SECONDS:g} s"


def test_an_answer_that_never_ends_counts_as_none(stack):
    stack.wait_until(lambda state: state["overall"] == "up")
    stack.upstreams["mlflow"].drips = True
    state = stack.wait_until(lambda state: state["services"]["mlflow"]["status"] == "down")
    assert state["services"]["mlflow"]["reason"] == f"no answer within {TIMEOUT_SECONDS:g} s"


def test_what_is_in_production_is_unknown_while_serving_is_away(stack):
    stack.wait_until(lambda state: state["models"])
    serving = stack.upstreams["serving"]
    serving.stop()
    state = stack.wait_until(lambda state: state["models"] is None)
    assert state["answered"] is None
    serving.start()
    stack.wait_until(lambda state: state["models"] and state["answered"] == 1234)


def test_answers_that_make_no_sense_harm_nobody(stack):
    serving = stack.upstreams["serving"]
    for nonsense in (b"<html>", b"[" * 200_000, b"x" * 2_000_000, b"\xff\xfe", [None]):
        serving.answers |= {"/models": nonsense, "/visitors": nonsense}
        stack.wait_until(lambda state: state["models"] is None and state["answered"] is None)
        assert stack.get("/", user="ada").status_code == 200
        serving.answers |= {"/models": {"models": []}, "/visitors": {"total": 0, "models": {}}}
        stack.wait_until(lambda state: state["models"] == [] and state["answered"] == 0)
    assert stack.get("/portal/health").status_code == 200


def test_views_of_the_page_ask_the_services_nothing(stack):
    stack.wait_until(lambda state: state["overall"] == "up")
    before = sum(upstream.asked for upstream in stack.upstreams.values())
    began = time.monotonic()
    for _ in range(200):
        stack.get("/", user="ada")
    rounds = (time.monotonic() - began) / CHECK_SECONDS + 2
    asked = sum(upstream.asked for upstream in stack.upstreams.values()) - before
    assert asked <= rounds * 6, f"{asked} questions in {rounds:.0f} rounds of 6"


def test_it_stays_small(stack):
    stack.wait_until(lambda state: state["models"])
    for _ in range(100):
        stack.get("/", user="ada")
    assert psutil.Process(stack.process.pid).memory_info().rss < 60 * 2**20


def test_it_stops_at_once_although_a_check_hangs(stack):
    stack.upstreams["hub"].delay_seconds = 60
    stack.wait_until(lambda state: state["services"]["hub"]["status"] == "down")
    began = time.monotonic()
    stack.process.terminate()
    stack.process.wait(10)
    assert time.monotonic() - began < 3


def test_a_wrong_variable_ends_the_start_with_one_sentence(tmp_path, stack):
    done = subprocess.run(
        [sys.executable, "-m", "slipway_portal"],
        env={**os.environ, **stack.environment(), "PORTAL_SERVING_URL": "serving:8000"},
        capture_output=True,
        text=True,
        timeout=30,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("portal: PORTAL_SERVING_URL is wrong (")
    assert done.stderr.count("\n") == 1
