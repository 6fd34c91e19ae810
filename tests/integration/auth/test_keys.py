"""Who may make, see and revoke which API keys, with the door-keeper as it runs and a real Postgres."""

from __future__ import annotations

import subprocess
import sys

import httpx
import jwt
import pytest

from tests.integration.auth.conftest import GATEWAY_SECRET, SEED, DoorKeeper

PAGE = {"Referer": "http://slipway.test/auth/keys", "Origin": "http://slipway.test"}


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"error_code", "message"}
    assert words in body["message"]
    assert "Traceback" not in answer.text


def test_a_manager_of_a_model_makes_a_key_for_it_and_sees_it_once(door):
    made = door.make_key(days=30)
    assert made["key"].startswith("slipway_")
    claims = jwt.decode(made["key"].removeprefix("slipway_"), options={"verify_signature": False})
    assert (claims["sub"], claims["models"], claims["jti"]) == ("my-app", ["red-blue"], made["id"])
    assert claims["exp"] - claims["iat"] == 30 * 86400
    listed = door.as_("ada").get("/auth/keys")
    (shown,) = [one for one in listed.json()["keys"] if one["id"] == made["id"]]
    assert (shown["state"], shown["owner"], shown["models"]) == ("live", "ada", ["red-blue"])
    assert made["key"] not in listed.text
    assert "key" not in shown
    assert listed.headers["cache-control"] == "no-store"
    assert made["key"] not in door.processes.log("auth")


@pytest.mark.parametrize("models", [["churn", "secret-model"], ["nobodys"], ["*"]])
def test_others_models_need_a_manager_and_every_model_an_administrator(door, models):
    refused(door.as_("ada").post("/auth/keys", json={"name": "x", "models": models}), 403, "models: ")
    refused(door.as_("bob").post("/auth/keys", json={"name": "x", "models": ["red-blue"]}), 403, "'red-blue'")
    assert door.make_key("grace", f"g-{len(models)}", models=models)["owner"] == "grace"


def test_mlflow_is_asked_as_the_person_with_the_gateways_secret(door):
    door.make_key()
    (_, query, headers) = door.mlflow.asked[-1]
    assert query == {"username": "ada", "resource_type": "registered_model", "resource_id": "red-blue"}
    assert headers["X-Remote-User"] == "ada"
    assert (headers["X-Remote-Groups"], headers["X-Remote-Admin"]) == ("ds", "0")
    assert headers["X-Gateway-Secret"] == GATEWAY_SECRET
    assert "Authorization" not in headers


def test_people_see_and_revoke_their_own_and_administrators_all(door):
    mine = door.make_key()
    ada, bob, grace = door.as_("ada"), door.as_("bob"), door.as_("grace")
    assert mine["id"] not in bob.get("/auth/keys").text
    refused(bob.delete(f"/auth/keys/{mine['id']}"), 404, "id: you have no key")
    refused(ada.delete("/auth/keys/nothing"), 404, "id: you have no key")
    assert mine["id"] in grace.get("/auth/keys").text
    for _ in range(2):
        assert ada.delete(f"/auth/keys/{mine['id']}").json()["state"] == "revoked"
    other = door.make_key()
    assert grace.delete(f"/auth/keys/{other['id']}").json()["state"] == "revoked"
    revoked = {one["id"] for one in httpx.get(door.feed_url).json()["revoked"]}
    assert {mine["id"], other["id"]} <= revoked


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"name": "no good", "models": ["red-blue"]}, "name: "),
        ({"name": "x", "models": []}, "models: "),
        ({"name": "x", "models": ["red-blue"], "days": 0}, "days: "),
        ({"name": "x", "models": ["red-blue"], "days": 4000}, "days: "),
    ],
)
def test_what_cannot_be_is_refused_by_its_field(door, body, words):
    refused(door.as_("ada").post("/auth/keys", json=body), 400, words)


def test_bodies_that_are_no_json_or_far_too_long_are_refused(door):
    ada = door.as_("ada")
    refused(ada.post("/auth/keys", data={"name": "x"}), 415, "application/json")
    long = ada.post("/auth/keys", content=b" " * 70_000, headers={"Content-Type": "application/json"})
    refused(long, 413, "larger than")
    assert ada.put("/auth/keys").status_code == 405


def test_who_is_nobody_makes_none_and_a_page_of_somebody_elses_neither(door):
    wanted = {"name": "x", "models": ["red-blue"]}
    refused(httpx.get(f"{door.url}/auth/keys"), 401, "log in")
    refused(httpx.post(f"{door.url}/auth/keys", json=wanted), 401, "log in")
    spoofed = {"X-Remote-User": "grace", "X-Remote-Admin": "1", "X-Gateway-Secret": "guess"}
    refused(httpx.post(f"{door.url}/auth/keys", json=wanted, headers=spoofed), 401, "log in")

    browser = httpx.Client(base_url=door.url, cookies={"slipway-session": "ada-token"}, timeout=30)
    assert browser.get("/auth/keys").status_code == 200
    for page in (
        {},
        {"Origin": "http://evil.test", "Referer": "http://evil.test/"},
        {**PAGE, "Referer": "http://slipway.test/user/bob/lab"},
        {"Origin": "http://slipway.test"},
        {"Sec-Fetch-Site": "same-origin"},
    ):
        refused(browser.post("/auth/keys", json=wanted, headers=page), 403, "another page")
    made = browser.post("/auth/keys", json=wanted, headers=PAGE)
    assert made.status_code == 201
    assert browser.delete(f"/auth/keys/{made.json()['id']}", headers=PAGE).status_code == 200


def test_the_feed_has_nothing_that_is_secret_and_changes_only_with_its_content(door):
    first = httpx.get(door.feed_url).json()
    assert set(first) == {"keys", "revoked", "version"}
    assert httpx.get(door.feed_url).json() == first
    made = door.make_key()
    assert httpx.get(door.feed_url).json() == first
    door.as_("ada").delete(f"/auth/keys/{made['id']}")
    after = httpx.get(door.feed_url)
    assert after.json()["version"] != first["version"]
    for secret in (SEED, GATEWAY_SECRET, made["key"], "ada"):
        assert secret not in after.text


def test_with_another_seed_the_old_keys_are_listed_as_replaced(door):
    made = door.make_key()
    before = httpx.get(door.feed_url).json()["keys"]
    door.stop()
    door.set_secret("api_key_signing_seed", "77" * 32)
    door.start()
    (shown,) = [one for one in door.as_("ada").get("/auth/keys").json()["keys"] if one["id"] == made["id"]]
    assert shown["state"] == "replaced"
    assert httpx.get(door.feed_url).json()["keys"] != before


def test_while_mlflow_is_away_only_administrators_make_keys(door):
    door.mlflow.stop()
    answer = door.as_("ada").post("/auth/keys", json={"name": "x", "models": ["red-blue"]})
    refused(answer, 503, "MLflow does not answer")
    assert answer.headers["retry-after"] == "5"
    door.make_key("grace", "of-grace")


def test_while_the_database_is_away_people_log_in_and_keys_are_not_told_wrongly(door, postgres):
    postgres.stop()
    try:
        ada = door.as_("ada")
        refused(ada.get("/auth/keys"), 503, "keys that exist go on working")
        refused(httpx.get(door.feed_url, timeout=30), 503, "database")
        assert ada.get("/auth/whoami").json()["user"] == "ada"
        assert ada.get("/auth/verify").headers["x-remote-user"] == "ada"
        assert httpx.get(f"{door.url}/auth/health").status_code == 200
    finally:
        postgres.start()
    assert door.as_("ada").get("/auth/keys").status_code == 200


def test_a_sqlite_file_will_do(tmp_path):
    door = DoorKeeper(tmp_path, f"sqlite:///{tmp_path}/keys.db")
    try:
        made = door.make_key()
        door.stop()
        door.start()
        assert door.as_("ada").delete(f"/auth/keys/{made['id']}").json()["state"] == "revoked"
        assert [one["id"] for one in httpx.get(door.feed_url).json()["revoked"]] == [made["id"]]
    finally:
        door.stop_all()


def test_a_missing_secret_stops_it_with_one_sentence(tmp_path, door):
    (door.secrets / "api_key_signing_seed").unlink()
    done = subprocess.run(
        [sys.executable, "-m", "doorkeeper"], env=door.environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "api_key_signing_seed is missing" in done.stderr
