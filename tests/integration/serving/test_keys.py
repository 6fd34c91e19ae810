"""An application's way to a prediction: a key of the real door-keeper, checked by real serving processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.auth.conftest import SEED, DoorKeeper
from tests.support.postgres import running_postgres

POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}
PREDICT = "/models/red-blue/predict"


@pytest.fixture(scope="module")
def postgres():
    with running_postgres("auth") as server:
        yield server


@pytest.fixture(scope="module")
def door(postgres, tmp_path_factory) -> Iterator[DoorKeeper]:
    database = f"postgresql+psycopg2://auth@127.0.0.1:{postgres.port}/postgres"
    door = DoorKeeper(tmp_path_factory.mktemp("door"), database)
    yield door
    door.stop_all()


@pytest.fixture(scope="module")
def replicas(registry, door, start_serving, tmp_path_factory):
    """Two serving processes, each with a cache of its own."""
    registry.production(red_blue="1", mixed="1")
    return [
        start_serving(
            tmp_path_factory.mktemp("replica"),
            SERVING_KEYS_URL=door.feed_url,
            SERVING_KEYS_POLL_SECONDS="0.5",
            SERVING_DEFAULT_MODEL="mixed",
            SERVING_ACCESS_LOG="true",
        )
        for _ in range(2)
    ]


@pytest.fixture
def serving(replicas, helpers):
    helpers.eventually(lambda: replicas[0].get("/ready").json()["keys"]["reachable"], what="the feed")
    return replicas[0]


def with_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def predict(server, key: str, path: str = PREDICT) -> httpx.Response:
    return server.post(path, POINT, headers=with_key(key))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("error", {}).get("code", "none")


def claims_of(key: str) -> dict:
    return jwt.decode(key.removeprefix("slipway_"), options={"verify_signature": False})


def sign(claims: dict, kid: str, seed: str = SEED, **header) -> str:
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    return "slipway_" + jwt.encode(claims, private, "EdDSA", headers={"kid": kid, **header})


def kid_of(key: str) -> str:
    return jwt.get_unverified_header(key.removeprefix("slipway_"))["kid"]


def test_a_key_predicts_with_its_model_on_every_replica_and_with_no_other(replicas, serving, door):
    key = door.make_key(name="red-app")["key"]
    for server in replicas:
        assert predict(server, key).json()["predictions"] == ["Red"]
        answer = predict(server, key, "/models/mixed/predict")
        assert code(answer) == (403, "not_for_this_model")
        assert "'mixed'" in answer.json()["error"]["message"]
        assert code(predict(server, key, "/predict")) == (403, "not_for_this_model")
        assert [one["name"] for one in server.get("/models", headers=with_key(key)).json()["models"]] == [
            "red-blue"
        ]
        assert code(httpx.post(server.url + PREDICT, json=POINT)) == (401, "no_credentials")
    everything = door.make_key("grace", "all-app", models=["*"])["key"]
    assert len(serving.get("/models", headers=with_key(everything)).json()["models"]) == 2


def test_what_was_not_made_here_or_is_damaged_is_refused(serving, door):
    key = door.make_key(name="forged-app")["key"]
    claims, kid = claims_of(key), kid_of(key)
    assert predict(serving, sign(claims, kid)).status_code == 200, "the test signs as the door-keeper does"
    now = int(time.time())
    token = key.removeprefix("slipway_")
    head, body, signature = token.split(".")
    public = httpx.get(door.feed_url).json()["keys"][0]["public_key"]
    unsigned = jwt.encode(claims, None, "none", headers={"kid": kid})
    wrong = {
        sign({**claims, "iat": now - 100, "exp": now - 1}, kid): "expired_key",
        sign({**claims, "models": ["*"]}, kid, seed="66" * 32): "foreign_key",
        sign(claims, "another"): "foreign_key",
        sign({**claims, "aud": "slipway"}, kid): "foreign_key",
        sign({**claims, "iss": "evil"}, kid): "foreign_key",
        "slipway_" + jwt.encode(claims, public * 2, "HS512", headers={"kid": kid}): "foreign_key",
        f"slipway_{unsigned}": "malformed_key",
        f"slipway_{unsigned}{signature}": "foreign_key",
        key[:-20]: "malformed_key",
        key[: len(key) // 2]: "malformed_key",
        f"slipway_{head}.{body}": "malformed_key",
        token: "malformed_key",
        "ada-token": "malformed_key",
    }
    for text, reason in wrong.items():
        answer = predict(serving, text)
        assert code(answer) == (401, reason), (reason, answer.text)
        assert "WWW-Authenticate" in answer.headers
    metrics = serving.get("/metrics").text
    assert 'slipway_serving_refused_total{reason="expired_key"} 1.0' in metrics
    assert "slipway_serving_keys_known 1.0" in metrics
    said = serving.log.read_text()
    assert not [text for text in (*wrong, key) if text in said]


def test_a_revoked_key_is_refused_by_every_replica_within_seconds(replicas, serving, door, helpers):
    made = door.make_key(name="revoked-app")
    key = made["key"]
    assert {predict(server, key).status_code for server in replicas} == {200}
    began = time.monotonic()
    assert door.as_("ada").delete(f"/auth/keys/{made['id']}").status_code == 200
    helpers.eventually(
        lambda: {code(predict(server, key)) for server in replicas} == {(401, "revoked_key")},
        seconds=5,
        what="the revocation",
    )
    assert time.monotonic() - began < 3


def test_the_log_says_which_application_asked_and_never_its_key(serving, door):
    key = door.make_key(name="logged-app")["key"]
    predict(serving, key)
    serving.get("/models")
    lines = [json.loads(line) for line in serving.log.read_text().splitlines() if line.startswith("{")]
    said = [
        (one["caller"], one["status"]) for one in lines if one["message"] == "request" and one.get("caller")
    ]
    assert ("logged-app", 200) in said
    assert ("ada", 200) in said
    assert key not in serving.log.read_text()


def test_with_door_keeper_hub_and_database_down_keys_go_on_also_after_a_restart(
    serving, door, postgres, helpers
):
    made, gone = door.make_key(name="lasting-app"), door.make_key(name="gone-app")
    door.as_("ada").delete(f"/auth/keys/{gone['id']}")
    helpers.eventually(
        lambda: code(predict(serving, gone["key"])) == (401, "revoked_key"), what="the revocation"
    )
    postgres.stop()
    try:
        assert predict(serving, made["key"]).status_code == 200
        door.stop()
        helpers.eventually(lambda: not serving.get("/ready").json()["keys"]["reachable"], what="noticing")
        assert serving.get("/ready").json()["keys"]["error"]
        assert serving.get("/ready").status_code == 200
        for _ in range(2):
            assert predict(serving, made["key"]).status_code == 200
            assert code(predict(serving, gone["key"])) == (401, "revoked_key")
            serving.stop()
            serving.start()
        assert "slipway_serving_keys_up 0.0" in serving.get("/metrics").text
    finally:
        postgres.start()
        door.start()
    helpers.eventually(lambda: serving.get("/ready").json()["keys"]["reachable"], what="following again")


def test_a_server_that_never_heard_of_keys_says_503_and_lets_nobody_in_by_key(registry, serve, door):
    registry.production(red_blue="1", mixed="1")
    key = door.make_key(name="early-app")["key"]
    server = serve()
    answer = predict(server, key)
    assert code(answer) == (503, "keys_unknown")
    assert answer.headers["retry-after"]
    assert code(predict(server, sign({"models": ["*"]}, "none"))) == (503, "keys_unknown")
    assert server.post(PREDICT, POINT).status_code == 200, "people do not depend on keys"
    assert server.get("/ready").json()["keys"]["known"] is False


def test_a_kept_feed_that_is_damaged_is_as_good_as_none(registry, serve, door, tmp_path):
    registry.production(red_blue="1", mixed="1")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/keys.json").write_text('{"keys": [')
    server = serve()
    assert code(predict(server, door.make_key(name="odd-app")["key"])) == (503, "keys_unknown")
    assert "the kept list of keys is not usable" in server.log.read_text()


def test_with_another_signing_key_the_old_keys_end_within_seconds(serving, door, helpers):
    key = door.make_key(name="old-app")["key"]
    assert predict(serving, key).status_code == 200
    door.stop()
    door.set_secret("api_key_signing_seed", "77" * 32)
    door.start()
    try:
        helpers.eventually(
            lambda: code(predict(serving, key)) == (401, "foreign_key"), seconds=5, what="the end"
        )
        assert predict(serving, door.make_key(name="new-app")["key"]).status_code == 200
    finally:
        door.stop()
        door.set_secret("api_key_signing_seed", SEED)
        door.start()
    helpers.eventually(
        lambda: predict(serving, key).status_code == 200, seconds=10, what="the old seed again"
    )
