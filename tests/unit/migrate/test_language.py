"""What the launcher runs is Python 3.9 and imports nothing but the standard library; so this room too."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[3] / "infra/migrate"


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.name)
def test_every_file_of_the_launchers_side_is_python_3_9_and_needs_nothing_else(path):
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            assert name.split(".")[0] in {"infra", *sys.stdlib_module_names}, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", sorted((ROOM / "inside").glob("*.py")), ids=lambda path: path.name)
def test_every_program_that_travels_fits_on_a_command_line(path):
    assert path.stat().st_size < 64 * 1024
