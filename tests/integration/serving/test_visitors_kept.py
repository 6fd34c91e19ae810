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


def test_replicas_that_come_and_go_are_counted_exactly_by_application_too(
    registry, start_serving, tmp_path, helpers, postgres
):
    """Three processes on one database and one cache, one of them killed, one restarted."""
    registry.production(red_blue="1")
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    shared = {
        "SERVING_DATABASE_URL": f"postgresql+psycopg2://serving@127.0.0.1:{postgres.port}/postgres",
        "SERVING_CACHE_DIR": str(tmp_path / "cache"),
        "SERVING_PREPARE_SECONDS": "0",
    }
    servers = [start_serving(folder, **shared) for folder in folders]
    for times, server in enumerate(servers, 1):
        ask(server, times)
    servers[2].stop(signal.SIGKILL)
    servers[1].stop()
    servers[1].start()
    ask(servers[1], 10)
    for server in servers[:2]:
        helpers.eventually(lambda: server.get("/visitors").json()["total"] == 16, 20, "the total")  # noqa: B023
    told = servers[0].get("/visitors").json()["models"]["red-blue"]
    assert told["callers"] == [{"kind": "person", "name": "ada", "total": 16, "versions": {"1": 16}}]
    for server in servers:
        server.stop()


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
