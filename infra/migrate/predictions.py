"""The same question to each model in Production on both sides: its own input example."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import unquote

from infra.embedded import environment
from infra.launcher.problem import Problem
from infra.launcher.shell import ask
from infra.migrate.names import Names
from infra.migrate.source import Source
from infra.migrate.stores import Progress
from infra.migrate.talk import INSIDE, in_service

PATIENCE = 180
"""Seconds for the stack's serving to notice a model, fetch and load it."""
TOLERANCE = 1e-6
"""Serving may use another runtime for the same model, which it has compared with the model itself."""
STATEMENT = """
SELECT v.name, v.version, coalesce(nullif(v.storage_location, ''), v.source)
  FROM registered_model_aliases a
  JOIN model_versions v ON v.name = a.name AND v.version = a.version AND v.workspace = a.workspace
 WHERE a.alias = 'production' ORDER BY v.name
"""


class Expected(NamedTuple):
    """What a model says embedded; with `none`, why there is nothing to compare."""

    model: str
    version: str
    body: str = ""
    answer: Any = None
    none: str = ""


def expected(source: Source, progress: Progress) -> list[Expected]:
    found = []
    for model, version, location in source.query("tracking", STATEMENT):
        progress(f"{model} version {version}")
        folder = folder_of(source, location)
        if folder is None:
            found.append(Expected(model, str(version), none=f"its files are not here ({location})"))
            continue
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"}
        command = [str(environment.python()), str(INSIDE / "predict.py"), str(folder)]
        told = ask(command, seconds=300, environment=quiet)
        if not told.ok:
            found.append(
                Expected(model, str(version), none=f"it cannot be tried here ({told.last_words(1)})")
            )
            continue
        # What a model prints when it is loaded comes before it.
        found.append(Expected(model, str(version), **json.loads(told.out.splitlines()[-1])))
    return found


def folder_of(source: Source, location: str) -> Path | None:
    """Where the files behind mlflow-artifacts:/PATH are."""
    scheme = "mlflow-artifacts:/"
    if not location.startswith(scheme):
        return None
    folder = source.artifacts / unquote(location[len(scheme) :]).lstrip("/")
    return folder if folder.is_dir() else None


def compare(project: str, names: Names, wanted: list[Expected], progress: Progress) -> dict[str, str]:
    """Asks the stack. By model, as it is called here: what does not agree, in words."""
    wrong = {}
    for one in wanted:
        model = names.models.get(one.model, one.model)
        progress(f"{model} version {one.version}")
        if not one.none:
            difference = ask_stack(project, model, one)
            if difference:
                wrong[one.model] = difference
    return wrong


def ask_stack(project: str, model: str, one: Expected) -> str:
    """What does not agree; empty if the stack says the same."""

    def feed(pipe: IO[bytes]) -> None:
        pipe.write(one.body.encode("utf-8"))

    try:
        told = in_service(project, "serving", "ask_serving", model, one.version, str(PATIENCE), feed=feed)
    except Problem as problem:
        return problem.what
    answer = json.loads(told)
    if alike(one.answer, answer):
        return ""
    return f"{model} version {one.version} answers {short(answer)}, and embedded {short(one.answer)}"


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    numbers = (int, float)
    if isinstance(one, numbers) and isinstance(other, numbers) and not isinstance(one, bool):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)


def short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "..."
