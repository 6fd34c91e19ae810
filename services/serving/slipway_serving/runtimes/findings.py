"""What a preparation found, written down, so that the next process need not look for it again.

FOLDER/prepared.json, and a file for each thing that was made of the model (`onnx`, `tables`). It holds for
the very libraries, code and options it was found with, and is checked again when it is used, on up to a few
hundred inputs.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import Loaded, Runtime, Unsuitable
from .draws import Draws
from .preparation import CANDIDATES, Prepared
from .pyfunc import Pyfunc
from .trial import Piece, Trial

_FILE = "prepared.json"
_LIBRARIES = (
    "mlflow-skinny",
    "mlflow",
    "numpy",
    "onnx",
    "onnxruntime",
    "pandas",
    "scikit-learn",
    "scipy",
    "skl2onnx",
)
_ROWS, _PIECE, _EDGES = 256, 128, 16
_SECONDS = 0.1  # beside requests, which a slow native model would hold up


@dataclass(frozen=True)
class Finding:
    """A preparation's outcome. converted: what runtimes made of the model, by their names."""

    report: dict[str, Any]
    runtime: str
    row_wise: bool = False
    seconds: dict[int, float] = field(default_factory=dict)
    converted: dict[str, bytes] = field(default_factory=dict)


def found(prepared: Prepared, converted: dict[str, bytes]) -> Finding:
    name = prepared.runtime.name
    used = {key: content for key, content in converted.items() if key == name}
    return Finding(prepared.report, name, prepared.row_wise, prepared.seconds, used)


@functools.cache
def fingerprint(pin: str | None, threads: int) -> str:
    """Of all that a finding depends on besides the model's own files."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_bytes())
    versions = {name: _version(name) for name in _LIBRARIES}
    facts = [versions, platform.python_version(), platform.machine(), code.hexdigest(), pin, threads]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def write(folder: Path, finding: Finding, key: str) -> None:
    """Whole or not at all: the description comes last, and names its files' digests."""
    folder.mkdir(exist_ok=True)
    for name, content in finding.converted.items():
        _replace(folder / name, content)
    noted = {
        "key": key,
        "runtime": finding.runtime,
        "row_wise": finding.row_wise,
        "seconds": finding.seconds,
        "converted": {
            name: hashlib.sha256(content).hexdigest() for name, content in finding.converted.items()
        },
        "report": finding.report,
    }
    _replace(folder / _FILE, json.dumps(noted, indent=1).encode())


def read(folder: Path, key: str) -> Finding | None:
    """What `write` wrote; None where there is nothing that is whole and holds here."""
    try:
        noted = json.loads((folder / _FILE).read_bytes())
        converted = {name: (folder / name).read_bytes() for name in noted["converted"]}
        if noted["key"] != key or _digests(converted) != noted["converted"]:
            return None
        seconds = {int(rows): float(value) for rows, value in noted["seconds"].items()}
        return Finding(noted["report"], noted["runtime"], noted["row_wise"], seconds, converted)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def use(loaded: Loaded, finding: Finding, draw: Callable[[], Draws | None]) -> Prepared:
    """The runtime that was found, once it agrees with the native model again; raises Unsuitable."""
    reference = Pyfunc(loaded)
    runtime: Runtime = reference
    if finding.runtime != reference.name:
        offer = CANDIDATES.get(finding.runtime)
        if offer is None:
            raise Unsuitable(f"there is no runtime {finding.runtime!r}")
        runtime = offer(replace(loaded, converted=dict(finding.converted), seconds=0))
        trial = Trial(finding.runtime, runtime)
        trial.compare(_pieces(reference, draw()), lambda: time.sleep(0))
        if trial.state != "kept":
            raise Unsuitable(f"{finding.runtime}: {trial.reason}")
    return Prepared(runtime, reference, finding.report, finding.row_wise, dict(finding.seconds))


def _pieces(reference: Pyfunc, draws: Draws | None) -> list[Piece]:
    if draws is None:
        return []
    pieces: list[Piece] = []
    began = time.monotonic()
    for drawn in (draws.ordinary(_ROWS, _PIECE), draws.edges(_EDGES)):
        for data in drawn:
            if pieces and time.monotonic() - began > _SECONDS:
                break
            try:
                pieces.append((data, reference.predict(data)))
            except Exception as error:
                pieces.append((data, error))
    return pieces


def _digests(contents: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
