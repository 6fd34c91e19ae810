"""How answers of the services become what the page knows."""

from __future__ import annotations

from datetime import UTC, datetime

from slipway_portal.state import SERVICES, State, read_models, read_visitors, summary

MORNING = datetime(2026, 11, 24, 7, 30, tzinfo=UTC)
NOON = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)

RED_BLUE = {
    "name": "red-blue",
    "version": "3",
    "wanted": "3",
    "since": "2026-11-24T07:31:05+00:00",
    "runtime": "onnx",
    "signature": {"inputs": [{"name": "Coord_X", "type": "double"}, {"name": "Coord_Y", "type": "double"}]},
    "failure": None,
}
VISITORS = {"total": 7, "models": {"red-blue": {"total": 7, "versions": {"3": 7}}}}


def all_up() -> State:
    state = State()
    for key in SERVICES:
        state = state.with_service(key, None, MORNING)
    return state


def test_nothing_is_claimed_before_every_service_was_asked():
    assert State().overall == "unknown"
    assert State().with_service("hub", None).overall == "unknown"
    assert all_up().overall == "up"


def test_one_service_that_is_down_is_enough_and_is_named():
    state = all_up().with_service("mlflow", "no connection", NOON)
    assert state.overall == "down"
    assert summary(state) == "Some services are down: Experiments"


def test_a_service_that_is_down_counts_before_the_others_have_answered():
    assert State().with_service("auth", "it answers 503").overall == "down"


def test_the_time_of_a_change_stays_while_the_status_stays():
    state = all_up().with_service("hub", None, NOON)
    assert state.services["hub"].since == MORNING.isoformat()

    state = state.with_service("hub", "no connection", NOON)
    assert (state.services["hub"].status, state.services["hub"].since) == ("down", NOON.isoformat())

    later = state.with_service("hub", "it answers 502", datetime.now(UTC))
    assert (later.services["hub"].reason, later.services["hub"].since) == ("it answers 502", NOON.isoformat())


def test_one_answer_leaves_what_is_known_of_the_others():
    state = all_up().with_production(
        {"models": [RED_BLUE]}, {"total": 7, "models": {"red-blue": {"total": 7}}}
    )
    state = state.with_service("hub", "no connection", NOON)
    assert state.services["mlflow"].status == "up"
    assert state.models[0].answered == 7


def test_models_carry_what_the_page_shows():
    (model,) = read_models({"models": [RED_BLUE]}, {"red-blue": 12})
    assert (model.name, model.version, model.runtime, model.answered) == ("red-blue", "3", "onnx", 12)
    assert model.since == "2026-11-24T07:31:05+00:00"
    assert model.columns == (("Coord_X", "double"), ("Coord_Y", "double"))
    assert model.note is None


def test_a_model_nobody_asked_yet_has_zero_and_an_unknown_count_has_none():
    assert read_models({"models": [RED_BLUE]}, {})[0].answered == 0
    assert read_models({"models": [RED_BLUE]}, None)[0].answered is None


def test_a_version_that_cannot_be_loaded_is_told_with_its_reason():
    behind = {**RED_BLUE, "wanted": "4", "failure": {"version": "4", "reason": "it needs xgboost"}}
    assert read_models({"models": [behind]}, {})[0].note == "Version 4 cannot be loaded: it needs xgboost"
    loading = {**RED_BLUE, "wanted": "4"}
    assert read_models({"models": [loading]}, {})[0].note == "Version 4 is being loaded"


def test_nothing_in_production_differs_from_not_knowing():
    assert read_models({"models": []}, {}) == ()
    for answer in (None, [], "up", {"error": {"code": "starting"}}, {"models": "red-blue"}):
        assert read_models(answer, {}) is None


def test_an_entry_without_name_or_version_is_left_out():
    entries = [{"name": "a"}, {"version": "1"}, {"name": "", "version": "1"}, "b", None, RED_BLUE]
    assert [model.name for model in read_models({"models": entries}, {})] == ["red-blue"]


def test_a_signature_without_named_columns_gives_no_columns():
    for signature in (
        None,
        {},
        {"inputs": None},
        {"inputs": ["double"]},
        {"inputs": [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]},
    ):
        assert read_models({"models": [{**RED_BLUE, "signature": signature}]}, {})[0].columns == ()


def test_visitors_are_counted_in_all_and_by_model():
    document = {"models": {"red-blue": {"total": 7, "versions": {"3": 7}}, "odd": "?"}, "total": 7}
    assert read_visitors(document) == (7, {"red-blue": 7})
    assert read_visitors({"models": {}, "total": 0}) == (0, {})
    for answer in (None, [], {}, {"total": "7"}):
        assert read_visitors(answer) == (None, None)


def test_the_json_of_a_state_says_it_all():
    state = all_up().with_production({"models": [RED_BLUE]}, {"total": 7, "models": {}})
    body = state.as_json()
    assert body["overall"] == "up"
    assert body["summary"] == "All systems up"
    assert body["services"]["hub"] == {"status": "up", "since": MORNING.isoformat(), "reason": None}
    assert body["models"][0]["name"] == "red-blue"
    assert body["answered"] == 7
    assert all_up().as_json()["models"] is None
