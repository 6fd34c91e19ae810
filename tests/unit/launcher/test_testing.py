"""How `./slipway test` counts, and that a run in which nothing ran is not a success."""

from __future__ import annotations

import pytest

from infra.launcher import tests
from infra.launcher.problem import Problem
from infra.launcher.tests import Result

REPORT = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
<testcase classname="tests.unit.test_a" name="test_passes"/>
<testcase classname="tests.unit.test_a" name="test_fails"><failure message="no">trace</failure></testcase>
<testcase classname="tests.unit.test_a" name="test_fails"><error message="teardown">x</error></testcase>
<testcase classname="tests.unit.test_a" name="test_errs"><error message="at setup">trace</error></testcase>
<testcase classname="tests.unit.test_a" name="test_skips"><skipped message="no engine here"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def report(tmp_path):
    path = tmp_path / "unit.xml"
    path.write_text(REPORT)
    return path


def test_each_test_counts_once_and_an_error_is_a_failure(report):
    result = tests.read_report("unit", report, 1, 2.0)
    assert (result.passed, result.failed) == (1, 2)
    assert result.skipped == (("tests.unit.test_a::test_skips", "no engine here"),)
    assert result.crashed == ""


def test_pytest_that_died_is_not_taken_for_success(report, tmp_path):
    assert "exit status 3" in tests.read_report("unit", report, 3, 1.0).crashed
    assert "left no report" in tests.read_report("unit", tmp_path / "none.xml", -9, 1.0).crashed


def test_the_summary_gives_every_skip_its_reason_and_ends_with_the_totals_alone():
    lines = tests.summary(
        [
            Result("unit", 10, 0, (("test_x", "needs Linux"),), 1.0),
            Result("e2e", 2, 1, (("test_y", ""),), 60.0),
        ]
    )
    assert any("test_x: needs Linux" in line for line in lines)
    assert any("test_y: no reason given" in line for line in lines)
    assert lines[-1] == "12 passed, 1 failed, 2 skipped"


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([Result("unit", 3, 0, (), 1.0)], 0),
        ([Result("unit", 3, 1, (), 1.0)], 1),
        ([Result("unit", 0, 0, (), 1.0)], 1),
        ([Result("unit", 0, 0, (("t", "r"),), 1.0)], 1),
        ([Result("unit", 3, 0, (), 1.0), Result("e2e", 0, 0, (), 0.0, "tests/e2e is not there")], 1),
        ([Result("unit", 3, 0, (), 1.0), Result("e2e", 0, 0, (), 0.0)], 0),
    ],
)
def test_success_needs_a_test_that_ran_and_none_that_failed(results, status):
    assert tests.exit_status(results) == status


def test_an_unknown_level_is_refused_with_the_known_ones(screen):
    with pytest.raises(Problem, match="no level 'units'") as caught:
        tests.run_levels(["units"], "", [], screen)
    assert "unit, integration, e2e" in caught.value.remedy


def test_programs_of_the_environment_come_first_and_packages_of_the_checkout_are_found():
    made = tests.environment_for_tests({"PATH": "/usr/bin", "PYTHONPATH": "/mine"})
    assert made["PATH"] == f"{tests.VENV / 'bin'}:/usr/bin"
    assert made["PYTHONPATH"] == f"{tests.ROOT}:/mine"
