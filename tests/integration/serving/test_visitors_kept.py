"""How often each version answered is kept across restarts, and a database that is away costs nothing."""

import signal

import pytest

from tests.support.postgres import running_postgres

POINT = {"inputs": {"Coord_X": 9.0, "Coord_Y": 9.0}}


def ask(server, times):
    for _ in range(times):
        assert server.post("/predict", POINT).status_code == 200


def test_visitors_survive_a_restart_and_wrong_requests_are_none(registry, serve, tmp_path, helpers):
    registry.production(red_blue="1")
    server = serve(SERVING_FLUSH_SECONDS="60")
    ask(server, 5)
    server.post("/predict", {"inputs": []})
    registry.production(red_blue="2")
    helpers.eventually(lambda: server.get("/models/red-blue").json()["version"] == "2", what="the rollout")
    ask(server, 2)
    told = server.get("/visitors").json()["models"]["red-blue"]
    assert (told["total"], told["versions"]) == (7, {"1": 5, "2": 2})
    assert told["callers"] == [{"kind": "person", "name": "ada", "total": 7, "versions": {"1": 5, "2": 2}}]
    server.stop()
    server.start()
    helpers.eventually(lambda: server.get("/ready").json()["database"]["reachable"], what="the first read")
    ask(server, 1)
    after = server.get("/visitors").json()
    assert after["models"]["red-blue"]["versions"] == {"1": 5, "2": 3}
    assert after["total"] == 8


def test_a_killed_server_has_lost_no_visit(registry, serve, helpers):
    registry.production(red_blue="1")
    server = serve(SERVING_FLUSH_SECONDS="600")
    ask(server, 6)
    server.stop(signal.SIGKILL)
    server.start()
    ask(server, 1)
    assert server.get("/visitors").json()["total"] == 7


@pytest.fixture
def postgres():
    with running_postgres("serving") as server:
        yield server


def test_with_postgres_away_predictions_go_on_and_every_one_is_counted_afterwards(
    registry, serve, tmp_path, helpers, postgres
):
    registry.production(red_blue="1")
    server = serve(
        SERVING_DATABASE_URL=f"postgresql+psycopg2://serving@127.0.0.1:{postgres.port}/postgres",
    )
    ask(server, 3)
    helpers.eventually(lambda: server.get("/visitors").json()["unsaved"] == 0, what="the flush")
    postgres.stop()
    try:
        ask(server, 4)
        helpers.eventually(
            lambda: not server.get("/ready").json()["database"]["reachable"], what="noticing the outage"
        )
        assert server.get("/ready").status_code == 200
        assert server.get("/visitors").json()["total"] == 7
    finally:
        postgres.start()
    helpers.eventually(lambda: server.get("/visitors").json()["unsaved"] == 0, what="the late flush")
    server.stop()
    server.start()
    helpers.eventually(lambda: server.get("/visitors").json()["total"] == 7, what="the stored total")
    assert "test-password" not in server.log.read_text()


def test_what_a_killed_replica_has_counted_is_handed_in_by_the_other(
    registry, start_serving, tmp_path, helpers, postgres
):
    """On one database and one cache, as in the stack."""
    registry.production(red_blue="1")
    shared = {
        "SERVING_DATABASE_URL": f"postgresql+psycopg2://serving@127.0.0.1:{postgres.port}/postgres",
        "SERVING_CACHE_DIR": str(tmp_path / "cache"),
        "SERVING_PREPARE_SECONDS": "0",
    }
    folders = [tmp_path / name for name in ("stays", "goes")]
    for folder in folders:
        folder.mkdir()
    stays = start_serving(folders[0], **shared)
    goes = start_serving(folders[1], **shared, SERVING_FLUSH_SECONDS="600")
    ask(stays, 2)
    ask(goes, 3)
    goes.stop(signal.SIGKILL)
    helpers.eventually(lambda: stays.get("/visitors").json()["total"] == 5, 30, "the total")
    told = stays.get("/visitors").json()["models"]["red-blue"]
    assert told["callers"] == [{"kind": "person", "name": "ada", "total": 5, "versions": {"1": 5}}]
    stays.stop()


def test_a_missing_secret_stops_the_server_with_one_sentence(serve, tmp_path):
    server = serve(
        wait=False,
        SECRETS_DIR=str(tmp_path),
        SERVING_DATABASE_URL="postgresql+psycopg2://serving@127.0.0.1:1/serving",
    )
    assert server.process.wait(60) == 2
    said = server.log.read_text()
    assert said.count("\n") == 1
    assert "gateway_secret is missing" in said
