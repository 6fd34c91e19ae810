"""The table of `./slipway status` and its words for times and sizes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra.launcher import status


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("2026-11-24T11:59:30.123456789Z", "30 s"),
        ("2026-11-24T11:00:00Z", "1 h"),
        ("2026-11-24T11:55:00Z", "5 min"),
        ("2026-11-12T12:00:00Z", "12 d"),
        ("2026-11-24T13:00:00Z", "0 s"),
        (None, ""),
        ("nonsense", ""),
    ],
)
def test_since_when_is_told_in_the_largest_unit_that_fits(moment, words):
    assert status.ago(moment, datetime(2026, 11, 24, 12, tzinfo=UTC)) == words


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("512KiB", 512 * 1024),
        ("182.5MiB ", int(182.5 * 1024**2)),
        ("1.5GiB", int(1.5 * 1024**3)),
        ("3kB", 3000),
        ("0B", 0),
    ],
)
def test_memory_is_read_in_the_units_of_docker_stats(text, count):
    assert status.bytes_of(text) == count


def test_a_row_tells_when_a_job_ended_and_that_what_never_ran_never_started(make_container):
    ended = make_container("job", state="exited", finished_at="2026-11-24T08:00:00Z")
    assert status.row_of("job", "done", "well", ended, {}, "x:1")["since"] == "2026-11-24T08:00:00Z"
    created = make_container(state="created", started_at="0001-01-01T00:00:00Z")
    assert status.row_of("web", "waits", "waiting", created, {}, "x:1")["since"] is None
    assert status.row_of("web", "not created yet", "waiting", None, {}, "x:1")["container"] is None


def test_a_running_services_memory_is_what_it_uses_and_not_its_limit(make_container):
    row = status.row_of("web", "healthy", "well", make_container(), {"id-web": "100MiB / 512MiB"}, "x:1")
    assert row["memory_bytes"] == 100 * 1024**2
