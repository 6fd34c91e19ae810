"""What is renamed where both sides have the same name, and what follows from that in other rows."""

from __future__ import annotations

import json

from infra.migrate.names import Names, changes, renamed


def test_only_what_both_sides_have_is_renamed():
    assert renamed(["a", "b"], ["b", "c"]) == {"b": "b-embedded"}


def test_a_new_name_is_one_that_neither_side_has():
    assert renamed(["b", "b-embedded"], ["b", "b-embedded-2"]) == {"b": "b-embedded-3"}


def test_a_long_name_is_cut_so_that_the_hub_takes_it():
    (new,) = renamed(["x" * 64], ["x" * 64], 64).values()
    assert len(new) == 64
    assert new.endswith("-embedded")


def test_without_other_work_rows_stay_as_they_are():
    row = [1, "red-blue"]
    assert changes("experiments", ["experiment_id", "name"], Names())(list(row)) == row


def test_numbers_of_experiments_are_moved_wherever_they_are():
    names = Names(shift={"experiments": 7})
    assert changes("runs", ["run_uuid", "experiment_id"], names)(["r", 0]) == ["r", 7]
    assert changes("endpoints", ["experiment_id"], names)([None]) == [None]
    columns = ["source_type", "source_id", "destination_type", "destination_id"]
    row = ["evaluation_dataset", "d-1", "experiment", "3"]
    assert changes("entity_associations", columns, names)(row)[-1] == "10"


def test_a_renamed_model_is_renamed_in_all_that_names_it():
    names = Names(models={"m": "m-embedded"})
    assert changes("registered_model_aliases", ["alias", "name"], names)(["m", "m"]) == ["m", "m-embedded"]
    change = changes("model_versions", ["name", "source"], names)
    assert change(["copy", "models:/m/3"]) == ["copy", "models:/m-embedded/3"]
    assert change(["m", "models:/m-0123"]) == ["m-embedded", "models:/m-0123"]
    tag = changes("logged_model_tags", ["tag_key", "tag_value"], names)
    (version,) = json.loads(tag(["mlflow.modelVersions", '[{"name": "m", "version": 1}]'])[1])
    assert version == {"name": "m-embedded", "version": 1}
    assert tag(["mine", '[{"name": "m"}]'])[1] == '[{"name": "m"}]'
    assert tag(["mlflow.modelVersions", "no JSON"])[1] == "no JSON"


def test_an_experiment_keeps_its_name_when_only_a_model_has_that_one():
    names = Names(models={"m": "m-embedded"})
    assert changes("experiments", ["experiment_id", "name"], names)([1, "m"]) == [1, "m"]
