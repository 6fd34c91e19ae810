"""Whether a version's files are what they were: as MLflow tells, and as they were when they came.

FOLDER/.slipway/manifest.json   each file's size and SHA-256, written before the folder gets its name
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml

OURS = ".slipway"
_MANIFEST = "manifest.json"


class Damaged(Exception):
    """A version's files are not what they should be; the message says which."""


def check_download(folder: Path) -> None:
    """Compare what was downloaded with what MLflow noted when it was logged; raises Damaged.

    MLflow notes no digest, only how many bytes there were before it added its own descriptions.
    """
    description = folder / "MLmodel"
    if not description.is_file():
        raise Damaged("there is no file MLmodel among its artifacts: log it again")
    try:
        noted = yaml.safe_load(description.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Damaged("its file MLmodel cannot be read: log it again") from error
    size = noted.get("model_size_bytes") if isinstance(noted, dict) else None
    if not isinstance(size, int):
        return
    found = sum(path.stat().st_size for path in _files(folder) if path != description)
    if found < size:
        raise Damaged(
            f"its artifacts are {found} bytes, {size} were logged: a file is missing or cut short,"
            " log it again"
        )


def write(folder: Path) -> None:
    """Note each file's size and digest."""
    (folder / OURS).mkdir(exist_ok=True)
    files = {str(path.relative_to(folder)): _digest(path) for path in _files(folder)}
    (folder / OURS / _MANIFEST).write_text(json.dumps({"files": files}, indent=1))


def check(folder: Path) -> None:
    """Compare the files with the manifest; raises Damaged. Without one (of an older release) write it."""
    try:
        files = json.loads((folder / OURS / _MANIFEST).read_text())["files"]
    except FileNotFoundError:
        write(folder)
        return
    except (ValueError, KeyError, TypeError) as error:
        raise Damaged("its manifest cannot be read") from error
    found = {str(path.relative_to(folder)) for path in _files(folder)}
    if different := sorted(found ^ files.keys()):
        raise Damaged(f"{different[0]} is missing or was not there")
    for name, noted in files.items():
        if _digest(folder / name) != noted:
            raise Damaged(f"{name} has changed")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in _files(folder))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        # Python writes its bytecode beside a model's own code.
        if path.is_file() and path.relative_to(folder).parts[0] != OURS and path.suffix != ".pyc":
            yield path


def _digest(path: Path) -> list[int | str]:
    with path.open("rb") as file:
        return [path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()]
