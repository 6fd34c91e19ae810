"""Served answers are the native model's own when many ask at once; a bad row fails its own request alone."""

import asyncio
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slipway_serving.answers import Request, answer_invocation, answer_predict
from slipway_serving.errors import Refused
from slipway_serving.runner import Runner

from tests.support.model_kinds import TESTED
from tests.support.served import body, predictions, same


def ask_at_once(model, requests, **settings):
    """Each request's predictions or what was raised, and how many requests ran together."""
    together = Counter()

    async def ask(runner, rows, form):
        try:
            return predictions(await runner.answer(form, model, Request(body(rows), "application/json")))
        except Refused as error:
            return error

    async def main():
        runner = Runner(2, 1000, on_batch=lambda _, count, rows, waited: together.update([count]), **settings)
        try:
            forms = (answer_predict, answer_invocation)
            return await asyncio.gather(*(ask(runner, rows, forms[i % 2]) for i, rows in enumerate(requests)))
        finally:
            assert runner.pending == 0
            runner.close()

    return asyncio.run(main()), together


def spoiled(one, rows):
    """The same rows, the last of them with a value that no column takes."""
    first = next(iter(rows[-1]))
    return [*rows[:-1], {**rows[-1], first: [1]}]


@pytest.mark.parametrize("at_once_seconds", [0, 1], ids=["in threads", "in the loop"])
@pytest.mark.parametrize("name", TESTED)
def test_answers_are_the_native_models_own_when_many_ask_at_once(served, name, at_once_seconds):
    one, together = served(name), Counter()
    one_request = st.tuples(st.lists(one.draw(), min_size=1, max_size=3), st.integers(0, 5).map(bool))

    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(st.lists(one_request, min_size=8, max_size=16))
    def holds(drawn):
        requests = [rows if good else spoiled(one, rows) for rows, good in drawn]
        answers, sizes = ask_at_once(one.model, requests, at_once_seconds=at_once_seconds)
        together.update(sizes)
        for (rows, good), got in zip(drawn, answers, strict=True):
            expected = one.expect(rows) if good else "wrong_type"
            assert same(expected, got), (rows, expected, got)

    holds()
    if not at_once_seconds:  # in the loop, one hard row has all of its turn asked alone
        assert max(together) > 3, "they did not run together"


@pytest.mark.parametrize("name", TESTED)
def test_as_many_as_were_trained_on_are_answered_in_their_order(served, name):
    one = served(name)
    rows = one.rows(200)
    expected = one.native(rows)
    answers, together = ask_at_once(one.model, [[row] for row in rows], at_once_seconds=1, max_batch_rows=48)
    assert max(together) > 40
    for i, got in enumerate(answers):
        assert same(expected[i : i + 1], got), (rows[i], expected[i], got)


@pytest.mark.parametrize(
    ("name", "bad"), [("custom", {"Coord_X": 2e6, "Coord_Y": 0}), ("strict", {"shop": "moon"})]
)
def test_a_row_that_the_model_itself_refuses_fails_its_own_request_alone(served, name, bad):
    one = served(name)
    rows = one.rows(30)
    expected = one.native(rows)
    requests = [[row] for row in rows]
    requests[7] = [rows[7], {**rows[7], **bad}]
    answers, sizes = ask_at_once(one.model, requests, at_once_seconds=0)
    assert answers.pop(7).code == "model_rejected_input"
    assert all(same(expected[i : i + 1], answers[i if i < 7 else i - 1]) for i in range(30) if i != 7)
    assert max(sizes) > 3
