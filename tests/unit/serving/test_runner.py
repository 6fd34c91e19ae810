"""How requests share threads: cheap ones need none, costly ones run together, each gets its own answer."""

import asyncio
import threading
import time
from types import SimpleNamespace

import numpy as np
import orjson
import pytest
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from slipway_serving.answers import Request, answer_predict
from slipway_serving.errors import Refused
from slipway_serving.runner import Runner
from slipway_serving.schema import compile_inputs

INPUTS = compile_inputs(ModelSignature(inputs=Schema([ColSpec("double", "x")])), 1000)


class Doubling:
    """A model that doubles, refuses negative numbers, and remembers how it was asked."""

    name, version, inputs, params_schema = "doubling", "1", INPUTS, None
    runtime = SimpleNamespace(name="sklearn")

    def __init__(self, seconds=1.0, row_wise=True, takes=0.0):
        self.row_wise, self._seconds, self._takes = row_wise, seconds, takes
        self.sizes, self.threads = [], set()

    def cost(self, rows):
        return self._seconds

    def quick(self, data, probabilities=False):
        return self._double(data)

    def predict(self, data, raw_params=None, strict=False, probabilities=False):
        try:
            return self._double(data)
        except ValueError as error:
            raise Refused("model_rejected_input", str(error), "inputs") from None

    def _double(self, data):
        self.sizes.append(len(data))
        self.threads.add(threading.current_thread())
        time.sleep(self._takes)
        if (data.matrix() < 0).any():
            raise ValueError("negative")
        return data.matrix()[:, 0] * 2


def ask(runner, model, *values):
    body = orjson.dumps({"inputs": [{"x": value} for value in values]})
    return runner.answer(answer_predict, model, Request(body, "application/json"))


def predictions(answer):
    return orjson.loads(answer.body)["predictions"]


def run(scenario, **settings):
    async def main():
        runner = Runner(settings.pop("workers", 2), settings.pop("max_pending", 1000), **settings)
        try:
            return await scenario(runner)
        finally:
            assert runner.pending == 0
            assert runner._lanes == {}
            runner.close()

    return asyncio.run(main())


def test_a_cheap_model_answers_in_the_event_loop():
    model = Doubling(seconds=20e-6)
    answer = run(lambda runner: ask(runner, model, 1, 2))
    assert (predictions(answer), answer.rows) == ([2.0, 4.0], 2)
    assert model.threads == {threading.main_thread()}


def test_cheap_requests_of_one_turn_of_the_loop_are_one_call():
    model, seen = Doubling(seconds=20e-6), []

    async def scenario(runner):
        return await asyncio.gather(*(ask(runner, model, i, i + 0.5) for i in range(20)))

    answers = run(scenario, on_batch=lambda model, requests, rows, waited: seen.append((requests, rows)))
    assert [predictions(answer) for answer in answers] == [[2.0 * i, 2.0 * i + 1] for i in range(20)]
    assert model.sizes == [40]
    assert seen == [(20, 40)]
    assert model.threads == {threading.main_thread()}


def test_a_bad_row_among_cheap_requests_fails_its_own_alone():
    model = Doubling(seconds=20e-6)

    async def scenario(runner):
        asked = [ask(runner, model, -1 if i == 7 else i) for i in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = run(scenario)
    assert answers[7].code == "model_rejected_input"
    assert [predictions(answers[i]) for i in range(20) if i != 7] == [[2.0 * i] for i in range(20) if i != 7]


def test_whoever_leaves_a_gathering_takes_nobody_along():
    model = Doubling(seconds=20e-6)

    async def scenario(runner):
        stays, leaves = (asyncio.ensure_future(ask(runner, model, i)) for i in (1, 2))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert predictions(run(scenario)) == [2.0]


@pytest.mark.parametrize(("row_wise", "others"), [(False, True), (True, False)])
def test_cheap_requests_are_asked_one_by_one_where_they_must_or_nobody_else_is_there(row_wise, others):
    model = Doubling(seconds=20e-6, row_wise=row_wise)

    async def scenario(runner):
        await asyncio.gather(*(ask(runner, model, i) for i in range(4)))

    run(scenario, others=lambda: others)
    assert model.sizes == [1] * 4


def test_what_a_cheap_model_does_not_answer_at_once_is_asked_in_a_thread():
    model = Doubling(seconds=20e-6)
    with pytest.raises(Refused) as caught:
        run(lambda runner: ask(runner, model, -1))
    assert caught.value.code == "model_rejected_input"
    assert len(model.threads) == 2


def test_what_waits_while_a_model_is_busy_runs_together_and_every_request_gets_its_own_rows():
    model, seen = Doubling(takes=0.02), []

    async def scenario(runner):
        return await asyncio.gather(*(ask(runner, model, i, i + 0.5) for i in range(50)))

    answers = run(scenario, on_batch=lambda model, requests, rows, waited: seen.append((requests, rows)))
    assert [predictions(answer) for answer in answers] == [[2.0 * i, 2.0 * i + 1] for i in range(50)]
    assert model.sizes == [2, 98]
    assert seen == [(1, 2), (49, 98)]


def test_a_batch_has_at_most_so_many_rows():
    model = Doubling(takes=0.01)

    async def scenario(runner):
        return await asyncio.gather(*(ask(runner, model, i, i) for i in range(10)))

    run(scenario, max_batch_rows=6)
    assert model.sizes == [2, 6, 6, 6]


def test_one_bad_row_among_many_requests_fails_its_own_request_alone():
    model = Doubling(takes=0.01)

    async def scenario(runner):
        asked = [ask(runner, model, -1 if i == 7 else i) for i in range(20)]
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = run(scenario)
    assert isinstance(answers[7], Refused)
    assert answers[7].code == "model_rejected_input"
    assert [predictions(answers[i]) for i in range(20) if i != 7] == [[2.0 * i] for i in range(20) if i != 7]


def test_a_model_whose_rows_depend_on_each_other_is_asked_request_by_request():
    model = Doubling(row_wise=False, takes=0.005)

    async def scenario(runner):
        await asyncio.gather(*(ask(runner, model, i) for i in range(6)))

    run(scenario)
    assert model.sizes == [1] * 6


def test_predictions_that_are_not_one_a_row_are_asked_for_alone():
    class Summing(Doubling):
        def _double(self, data):
            super()._double(data)
            return np.array([data.matrix().sum()])

    model = Summing(takes=0.01)

    async def scenario(runner):
        return await asyncio.gather(*(ask(runner, model, i) for i in range(5)))

    assert [predictions(answer) for answer in run(scenario)] == [[float(i)] for i in range(5)]


def test_too_many_waiting_requests_are_refused_at_once_and_the_others_answered():
    model = Doubling(takes=0.05)

    async def scenario(runner):
        return await asyncio.gather(*(ask(runner, model, i) for i in range(10)), return_exceptions=True)

    answers = run(scenario, max_pending=4)
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert len(refused) == 6
    assert {(error.code, error.retry_after) for error in refused} == {("overloaded", 1)}


def test_a_caller_that_goes_away_takes_nobody_with_it():
    model = Doubling(takes=0.02)

    async def scenario(runner):
        tasks = [asyncio.ensure_future(ask(runner, model, i)) for i in range(5)]
        await asyncio.sleep(0.005)
        tasks[2].cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(answers.pop(2), asyncio.CancelledError)
        return [predictions(answer) for answer in answers]

    assert run(scenario) == [[0.0], [2.0], [6.0], [8.0]]


def test_other_work_runs_in_a_thread_and_raises_what_it_raises():
    def work(number):
        if number < 0:
            raise KeyError(number)
        return SimpleNamespace(number=number, thread=threading.current_thread())

    assert run(lambda runner: runner.aside(work, 3)).thread is not threading.main_thread()
    with pytest.raises(KeyError):
        run(lambda runner: runner.aside(work, -3))


def test_wrong_params_are_refused_however_empty():
    class Real(Doubling):
        def predict(self, data, raw_params=None, strict=False, probabilities=False):
            assert raw_params == []
            raise Refused("wrong_type", "params must be an object", "params")

    body = b'{"inputs": [{"x": 1}], "params": []}'
    with pytest.raises(Refused) as caught:
        run(lambda runner: runner.answer(answer_predict, Real(seconds=1e-6), Request(body)))
    assert caught.value.field == "params"


class Hanging(Doubling):
    """Hangs on numbers over 100 until it is let go."""

    def __init__(self):
        super().__init__()
        self.hangs, self.let_go = threading.Event(), threading.Event()

    def _double(self, data):
        if (data.matrix() > 100).any():
            self.hangs.set()
            self.let_go.wait(20)
        return super()._double(data)


async def outcome(awaitable):
    try:
        return predictions(await awaitable)
    except Refused as error:
        return error.code, error.retry_after


def test_a_busy_model_does_not_hold_up_another():
    busy, other = Hanging(), Doubling()

    async def scenario(runner):
        waiting = asyncio.ensure_future(ask(runner, busy, 101))
        while not busy.hangs.is_set():
            await asyncio.sleep(0.01)
        assert predictions(await ask(runner, other, 1)) == [2.0]
        assert not waiting.done()
        busy.let_go.set()
        return predictions(await waiting)

    assert run(scenario) == [202.0]


def test_a_model_that_hangs_is_told_so_at_once_others_go_on_and_it_recovers():
    hanging, other = Hanging(), Doubling()

    async def scenario(runner):
        first = await outcome(ask(runner, hanging, 101))
        assert first == ("timed_out", 5)
        while not runner.stuck():  # the thread's own time began a moment after the request's
            await asyncio.sleep(0.01)
        assert runner.stuck() == {"doubling version 1": 1}
        # The second of its threads goes on: what hangs is one bad input.
        assert await outcome(ask(runner, hanging, 1)) == [2.0]
        assert await outcome(ask(runner, hanging, 102)) == ("timed_out", 5)
        began = time.monotonic()
        assert await outcome(ask(runner, hanging, 1)) == ("model_stuck", 30)
        assert await outcome(ask(runner, other, 4)) == [8.0]
        assert time.monotonic() - began < 2  # and not a request's time, for either
        assert runner.stuck() == {"doubling version 1": 2}
        assert runner.pending == 0
        hanging.let_go.set()
        while runner.stuck():
            await asyncio.sleep(0.01)
        assert await outcome(ask(runner, hanging, 3)) == [6.0]

    run(scenario, request_seconds=2)


def test_what_waits_behind_calls_that_hang_is_told_as_soon_as_all_of_them_do():
    hanging = Hanging()

    async def scenario(runner):
        asked = [asyncio.ensure_future(outcome(ask(runner, hanging, 101)))]
        await asyncio.sleep(0.7)
        late = asyncio.ensure_future(outcome(ask(runner, hanging, 1)))
        # Left to its own limit, it would be told that it timed out.
        assert await late == ("model_stuck", 30)
        hanging.let_go.set()
        assert await asked[0] == ("timed_out", 5)
        while runner.stuck():
            await asyncio.sleep(0.01)

    run(scenario, workers=1, request_seconds=1.5)


def test_what_somebody_wrote_never_runs_in_the_event_loop_however_quick_it_is():
    model = Doubling(seconds=1e-6)
    model.runtime = SimpleNamespace(name="direct")
    assert predictions(run(lambda runner: ask(runner, model, 1))) == [2.0]
    assert threading.main_thread() not in model.threads


def test_requests_for_probabilities_run_together_and_not_with_others():
    class Both(Doubling):
        classes = ("a", "b")

        def quick(self, data, probabilities=False):
            values = self._double(data)
            return np.stack([values, 1 - values], axis=1) if probabilities else values

        def predict(self, data, raw_params=None, strict=False, probabilities=False):
            return self.quick(data, probabilities)

    model = Both(takes=0.02)

    async def scenario(runner):
        def for_probabilities(value):
            body = orjson.dumps({"inputs": [{"x": value}], "probabilities": True})
            return runner.answer(answer_predict, model, Request(body))

        asked = [ask(runner, model, 0), *map(for_probabilities, range(3)), ask(runner, model, 5)]
        return await asyncio.gather(*asked)

    answers = [orjson.loads(answer.body) for answer in run(scenario)]
    assert [answer["predictions"] for answer in answers] == [[0], [[0, 1]], [[2, -1]], [[4, -3]], [10]]
    assert [answer.get("classes") for answer in answers] == [None, *[["a", "b"]] * 3, None]
    assert model.sizes == [1, 3, 1]
