"""What is told of a version whose files could not be fetched."""

from __future__ import annotations

from slipway_serving.registry import why_not_downloaded

SAID = """The following failures occurred while downloading one or more artifacts from http://mlflow:5000/a/b:
##### File model.skops #####
[Errno 28] No space left on device
##### File MLmodel #####
[Errno 28] No space left on device"""


def test_the_first_files_own_reason_is_told():
    assert why_not_downloaded(SAID) == "model.skops could not be fetched: [Errno 28] No space left on device"


def test_what_names_no_file_is_told_as_it_is():
    assert why_not_downloaded("RESOURCE_DOES_NOT_EXIST: no version 7") is None
