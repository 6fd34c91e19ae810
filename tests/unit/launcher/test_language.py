"""The launcher must start on a bare server: the standard library only, and the language of Python 3.9."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = [ROOT / "slipway", *sorted((ROOT / "infra/launcher").glob("*.py")), ROOT / "infra/__init__.py"]


def read(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path), feature_version=(3, 9))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_python_3_9_and_imports_the_standard_library_only(path):
    for node in ast.walk(read(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a module is"
            names = [node.module or ""]
        else:
            continue
        for name in names:
            top = name.split(".")[0]
            assert top == "infra" or top in sys.stdlib_module_names, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_uses_what_the_grammar_check_lets_pass_but_python_3_9_does_not_know(path):
    """`match` and `except*` are refused by the parser; these are calls and types that fail when met."""
    tree = read(path)
    lazy = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and node.names[0].name == "annotations"
        for node in tree.body
    )
    code = [node for node in tree.body if not isinstance(node, (ast.Expr, ast.ImportFrom, ast.Import))]
    assert lazy or not any(isinstance(node, (ast.AnnAssign, ast.FunctionDef)) for node in code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            used = {keyword.arg for keyword in node.keywords}
            assert not ({"strict", "slots", "kw_only"} & used), f"{path.name}:{node.lineno}"
        if isinstance(node, ast.ImportFrom) and node.module in ("datetime", "typing", "itertools", "enum"):
            newer = {
                "UTC",
                "Self",
                "TypeAlias",
                "ParamSpec",
                "assert_never",
                "pairwise",
                "batched",
                "StrEnum",
            }
            assert not newer & {alias.name for alias in node.names}, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(read(path)), f"{path.name} has no docstring"
