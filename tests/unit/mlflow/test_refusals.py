"""What a refused request is told."""

from __future__ import annotations

from slipway_mlflow.refusals import sentence, subject_of


class Names:
    def of_run(self, run_id: str) -> str | None:
        return "first" if run_id == "known" else None

    def of_experiment(self, number: str) -> str | None:
        return "first" if number == "1" else None


def told(said: dict, path: str = "/mlflow/api/2.0/mlflow/runs/log-batch", method: str = "POST") -> str:
    return sentence("bob", method, subject_of(said, Names(), path))


def test_it_names_who_what_and_the_remedy():
    assert told({"run_id": "known"}) == (
        "bob may not change the runs of the experiment 'first': "
        "its creator or an administrator can grant that"
    )
    assert told({"experiment_id": "1"}).startswith("bob may not change the experiment 'first':")
    made_of_a_run = {"name": "m", "run_id": "known"}
    assert "the registered model 'm'" in told(made_of_a_run, "/mlflow/api/2.0/mlflow/model-versions/create")
    assert told({}, method="GET").startswith("bob may not see this:")


def test_of_what_is_not_there_or_is_nonsense_it_says_nothing():
    for said in (
        {"run_id": "other"},
        {"run_id": 5},
        {"experiment_id": ["1"]},
        {"name": {"a": 1}},
        {"name": "x"},
    ):
        assert told(said).startswith("bob may not change this:")
