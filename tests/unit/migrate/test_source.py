"""The copies of the embedded databases, and what is said when the platform has changed since."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from infra.embedded.instance import Instance
from infra.launcher.problem import Problem
from infra.migrate import predictions, source, stores


@pytest.fixture
def instance(tmp_path) -> Instance:
    instance = Instance("test", tmp_path / "Platz 1 ä")
    (instance.data / "mlflow/artifacts/1/m").mkdir(parents=True)
    with closing(sqlite3.connect(instance.data / "mlflow/mlflow.db")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute('CREATE TABLE "odd ""name" (a, b)')
        database.execute('INSERT INTO "odd ""name" VALUES (?, ?)', (b"\x00\xff", None))
        database.commit()
    return instance


def test_a_copy_has_the_rows_that_are_still_in_the_journal_of_an_open_database(instance):
    with closing(sqlite3.connect(instance.data / "mlflow/mlflow.db")) as other:
        other.execute('INSERT INTO "odd ""name" VALUES (1, 2)')
        other.commit()
        taken = source.take(instance)
    assert taken.count("tracking", 'odd "name') == 2


def test_bytes_travel_as_text(instance):
    (row,) = source.take(instance).rows("tracking", 'odd "name', ["a", "b"])
    assert row == [{"base64": "AP8="}, None]


def test_a_database_that_is_not_there_has_no_rows(instance):
    assert source.take(instance).columns("visitors") == {}


def test_a_file_that_is_no_database_is_a_problem_that_names_it(instance):
    (instance.data / "hub").mkdir()
    (instance.data / "hub/jupyterhub.sqlite").write_text("no database, and long enough for a header" * 20)
    with pytest.raises(Problem, match=r"jupyterhub\.sqlite cannot be read"):
        source.take(instance)


def test_an_instance_keeps_its_mark(instance):
    assert source.identity(instance) == source.identity(instance)


@pytest.mark.parametrize(
    ("location", "there"),
    [("mlflow-artifacts:/1/m", True), ("mlflow-artifacts:/1/other", False), ("file:///1/m", False)],
)
def test_a_models_files_are_found_by_their_address(instance, location, there):
    assert (predictions.folder_of(source.take(instance), location) is not None) == there


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"predictions": ["Red"]}, {"predictions": ["Red"]}, True),
        ({"predictions": [0.1]}, {"predictions": [0.1 + 1e-9]}, True),
        ({"predictions": [0.1]}, {"predictions": [0.2]}, False),
        ({"predictions": [1]}, {"predictions": [1, 1]}, False),
        ({"predictions": [True]}, {"predictions": ["True"]}, False),
    ],
)
def test_predictions_are_alike_if_they_differ_by_less_than_a_runtime_may(one, other, same):
    assert predictions.alike(one, other) is same


def test_the_last_line_tells_how_many_rows_there_were():
    sections = [stores.Section("t", ["a"], [[1], [2]]), stores.Section("u", ["a"], [])]
    lines = list(stores.lines(sections, "one", {}, print))
    assert len(lines) == 5
    assert '"end": 2' in lines[-1]
