"""MLflow's tables from SQLite into Postgres: every row, all or none, beside other work if told so."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from mlflow import MlflowClient

from infra.launcher.problem import Problem
from infra.migrate import tracking
from infra.migrate.names import Names
from tests.support.processes import eventually

AS_THEY_ARE = Names()


@pytest.fixture
def empty(tracking_of_stack):
    return tracking_of_stack.look(tracking.WANTED)


def test_a_new_stack_holds_no_other_work(empty):
    assert tracking.other_work(empty) == []


def test_both_sides_are_of_the_same_mlflow(taken, empty):
    assert tracking.is_current(taken, empty)


def test_every_row_arrives_and_mlflow_reads_it_as_before(
    taken, tracking_of_stack, empty, embedded, client_of
):
    counts = tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))
    assert counts == tracking.counts(taken, empty)
    assert counts["metrics"] == 3 * 402
    here = MlflowClient(f"sqlite:///{embedded}/data/mlflow/mlflow.db")
    assert all_of(client_of(tracking_of_stack)) == all_of(here)
    there = client_of(tracking_of_stack)
    assert there.get_model_version_by_alias("red-blue", "production").current_stage == "Production"


def all_of(client: MlflowClient) -> str:
    """As text, in which one NaN is like another."""
    runs = client.search_runs(["0", "1"], order_by=["attributes.start_time", "attributes.run_id"])
    assert len(runs) == 3
    history = [[dict(m) for m in client.get_metric_history(run.info.run_id, "loss")] for run in runs]
    models = [dict(client.get_registered_model(name)) for name in ("red-blue", "copied")]
    experiments = [dict(one) for one in client.search_experiments(order_by=["experiment_id"])]
    return "\n".join(map(str, [*(run.to_dictionary() for run in runs), history, models, experiments]))


def test_new_experiments_get_numbers_of_their_own_afterwards(taken, tracking_of_stack, empty, client_of):
    tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))
    assert client_of(tracking_of_stack).create_experiment("next") == "2"


def test_the_mark_comes_with_the_rows(taken, tracking_of_stack, empty):
    counts = tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE), note={"names": {}})
    (mark,) = tracking_of_stack.look({}).marks.values()
    assert mark["counts"] == counts
    assert mark["names"] == {}


def test_what_was_brought_cannot_be_brought_again(taken, tracking_of_stack, empty):
    tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))
    with pytest.raises(Problem, match="nothing was written"):
        tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_killed_midway_it_leaves_nothing_and_starts_over(taken, tracking_of_stack, empty, share):
    lines = tracking_of_stack.lines(tracking.sections(taken, empty, AS_THEY_ARE))
    process = subprocess.Popen(
        tracking_of_stack.command("write"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    process.stdin.writelines(lines[: int(len(lines) * share)])
    process.stdin.flush()
    busy = (
        "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    assert eventually(lambda: tracking_of_stack.rows(busy), 30)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert eventually(lambda: not tracking_of_stack.rows(busy), 30)
    now = tracking_of_stack.look(tracking.WANTED)
    assert tracking.other_work(now) == []
    assert now.marks == {}
    counts = tracking_of_stack.write(tracking.sections(taken, now, AS_THEY_ARE))
    assert counts == tracking.counts(taken, now)


def test_data_that_break_off_are_not_taken_for_the_whole(taken, tracking_of_stack, empty):
    lines = tracking_of_stack.lines(tracking.sections(taken, empty, AS_THEY_ARE))
    a_row = max(place for place, line in enumerate(lines) if line.startswith(b"["))
    for kept in (lines[:-1], lines[:a_row] + lines[a_row + 1 :]):
        done = subprocess.run(
            tracking_of_stack.command("write"), input=b"".join(kept), capture_output=True, timeout=120
        )
        assert done.returncode == 1
        assert b"broke off" in done.stderr
    assert tracking.other_work(tracking_of_stack.look(tracking.WANTED)) == []


@pytest.mark.parametrize("what", ["a run", "an experiment", "a model", "a tag"])
def test_other_work_is_seen_and_named(tracking_of_stack, client_of, what):
    client = client_of(tracking_of_stack)
    if what == "a run":
        client.create_run("0")
    elif what == "an experiment":
        client.create_experiment("theirs")
    elif what == "a model":
        client.create_registered_model("theirs")
    else:
        client.set_experiment_tag("0", "mine", "yes")
    (found,) = tracking.other_work(tracking_of_stack.look(tracking.WANTED))
    assert found in (
        "1 runs",
        "experiments (theirs)",
        "registered models (theirs)",
        "rows in experiment_tags",
    )


def test_beside_other_work_what_has_the_same_name_is_renamed(taken, tracking_of_stack, client_of):
    theirs = client_of(tracking_of_stack)
    theirs.create_experiment("red-blue")
    theirs.create_run("1", run_name="theirs")
    theirs.create_run("0", run_name="theirs too")
    theirs.create_registered_model("red-blue")
    theirs.create_model_version("red-blue", "mlflow-artifacts:/1/models/theirs")
    there = tracking_of_stack.look(tracking.WANTED)
    names = tracking.names_for(taken, there)
    assert names.models == {"red-blue": "red-blue-embedded"}
    assert names.experiments == {"Default": "Default-embedded", "red-blue": "red-blue-embedded"}
    tracking_of_stack.write(tracking.sections(taken, there, names))

    after = client_of(tracking_of_stack)
    numbers = {one.name: one.experiment_id for one in after.search_experiments()}
    assert set(numbers) == {"Default", "Default-embedded", "red-blue", "red-blue-embedded"}
    counts = {name: len(after.search_runs([number])) for name, number in numbers.items()}
    assert counts == {"Default": 1, "Default-embedded": 1, "red-blue": 1, "red-blue-embedded": 2}
    assert len(after.search_model_versions("name = 'red-blue'")) == 1
    assert after.get_model_version_by_alias("red-blue-embedded", "production").version == 2
    assert after.get_model_version("copied", "1").source == "models:/red-blue-embedded/1"
    assert int(after.create_experiment("next")) > max(map(int, numbers.values()))


def test_a_name_that_is_taken_meanwhile_leaves_nothing(taken, tracking_of_stack, empty, client_of):
    client_of(tracking_of_stack).create_registered_model("red-blue")
    with pytest.raises(Problem, match="duplicate key"):
        tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))
    assert tracking.other_work(tracking_of_stack.look(tracking.WANTED)) == ["registered models (red-blue)"]


def test_the_embedded_database_is_not_changed(embedded, tracking_of_stack, taken, empty):
    before = (embedded / "data/mlflow/mlflow.db").read_bytes()
    tracking_of_stack.write(tracking.sections(taken, empty, AS_THEY_ARE))
    assert (embedded / "data/mlflow/mlflow.db").read_bytes() == before
