"""Reads .env as Compose does, for the few values the launcher needs, and keeps one marked block in it.

Everything outside the block is the operator's and is never touched, to the byte.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from infra.launcher.problem import PRECONDITION, Problem

BEGIN = "# >>> offline images: written by ./slipway up, which replaces these lines >>>"
END = "# <<< offline images <<<"

_LINE = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)$")
_REFERENCE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?-([^}]*))?\}|([A-Za-z_]\w*))")


def read(path: Path) -> str:
    """The file's text with its line ends as they are; empty if there is none."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise Problem(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.",
            "Save it as UTF-8.",
            PRECONDITION,
        ) from None
    except OSError as error:
        raise Problem(
            f"{path} cannot be read: {error.strerror}.", "Give it to your user.", PRECONDITION
        ) from None


def parse(text: str, environment: Mapping[str, str] = {}) -> dict[str, str]:
    """Names and values. The last line of a name counts; `$NAME` is looked up in `environment`, then above."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and not line.lstrip().startswith("#"):
            values[match.group(1)] = _value(match.group(2).strip(), {**values, **environment})
    return values


def _value(raw: str, known: Mapping[str, str]) -> str:
    if raw[:1] in ("'", '"'):
        closing = raw.find(raw[0], 1)
        if closing > 0:
            inside = raw[1:closing]
            return inside if raw[0] == "'" else _expand(inside, known)
    # Without quotes a comment starts at a `#` that follows a space.
    raw = "" if raw.startswith("#") else re.split(r"\s#", raw, maxsplit=1)[0].rstrip()
    return _expand(raw, known)


def _expand(value: str, known: Mapping[str, str]) -> str:
    def of(match: re.Match[str]) -> str:
        return known.get(match.group(1) or match.group(3)) or match.group(2) or ""

    return _REFERENCE.sub(of, value)


def block_of(text: str) -> dict[str, str]:
    """The variables inside the marked block; empty if there is no block."""
    inside = _split(text)[1]
    return parse(inside)


def outside_of(text: str) -> str:
    """The text without the marked block: what the operator wrote."""
    before, _, after = _split(text)
    return before + after


def with_block(text: str, variables: Mapping[str, str]) -> str:
    """The text with the block holding exactly these variables, in place where there was one; without any, no
    block.
    """
    before, _, after = _split(text)
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    if not variables:
        return before + after
    for name, value in variables.items():
        if not re.fullmatch(r"[A-Za-z0-9_./:@,+-]*", value):
            raise ValueError(f"{name} has a value that .env would need quotes for: {value!r}")
    lines = [BEGIN, *(f"{name}={value}" for name, value in variables.items()), END]
    if before and not before.endswith("\n"):
        before += end_of_line
    return before + "".join(line + end_of_line for line in lines) + after


def _split(text: str) -> tuple[str, str, str]:
    """What is before the block, the block with its marks, and what is after it."""
    start = re.search(rf"^{re.escape(BEGIN)}[ \t]*\r?$", text, re.MULTILINE)
    if start is None:
        return text, "", ""
    end = re.compile(rf"^{re.escape(END)}[ \t]*(?:\r?\n|\r?\Z)", re.MULTILINE).search(text, start.end())
    if end is None:
        raise Problem(
            f".env has the line `{BEGIN}` but not the line that ends the block, `{END}`.",
            "Remove that line and the image variables under it, or put the last line back.",
            PRECONDITION,
        )
    return text[: start.start()], text[start.start() : end.end()], text[end.end() :]


def write_block(path: Path, variables: Mapping[str, str]) -> bool:
    """Puts the block into the file, or takes it out if there are no variables; true if the file changed."""
    before = read(path)
    after = with_block(before, variables)
    if after == before:
        return False
    _replace(path, after)
    return True


def _replace(path: Path, text: str) -> None:
    """Writes it whole or not at all, with the mode and owner the file had; a symbolic link stays one."""
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=".env.", dir=str(target.parent))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            old = target.stat()
            os.chmod(name, old.st_mode & 0o7777)
            if os.geteuid() == 0:
                os.chown(name, old.st_uid, old.st_gid)
        else:
            os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
