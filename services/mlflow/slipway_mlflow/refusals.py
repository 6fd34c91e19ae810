"""What a refused request is told: what is missing, and who can give it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

VERBS = {"GET": "see", "HEAD": "see", "DELETE": "delete or change"}


class Names(Protocol):
    """What experiments are called; None for what is not there."""

    def of_run(self, run_id: str) -> str | None: ...

    def of_experiment(self, number: str) -> str | None: ...


class Subject(NamedTuple):
    """What a request is about, in words: `the experiment 'first'`."""

    words: str


def sentence(name: str, method: str, subject: Subject | None = None) -> str:
    what = subject.words if subject else "this"
    return (
        f"{name} may not {VERBS.get(method, 'change')} {what}: its creator or an administrator can grant that"
    )


def as_body(code: str, text: str) -> dict[str, str]:
    return {"error_code": code, "message": text}


def subject_of(said: Mapping[str, Any], names: Names, path: str) -> Subject | None:
    """What the parameters of a request name."""
    name = said.get("name")
    # First: a version is made of a run, but it is the model that is changed.
    if isinstance(name, str) and name and ("/registered-models/" in path or "/model-versions/" in path):
        return Subject(f"the registered model {name!r}")
    run = said.get("run_id") or said.get("run_uuid")
    if isinstance(run, str) and run:
        found = names.of_run(run)
        return Subject(f"the runs of the experiment {found!r}") if found else None
    experiment = said.get("experiment_id")
    if isinstance(experiment, str) and experiment:
        found = names.of_experiment(experiment)
        return Subject(f"the experiment {found!r}") if found else None
    return None
