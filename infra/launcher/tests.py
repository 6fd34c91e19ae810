"""`./slipway test`: makes the tests' environment, runs the levels in order and sums up what passed and what
was skipped.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from infra.docker.system import Refusal, read_os_release, run
from infra.launcher.paths import ROOT, STATE, ensure_state, short
from infra.launcher.problem import FAILED, PRECONDITION, Problem
from infra.launcher.progress import Screen, seconds
from infra.launcher.pythons import NoVenvModule, find_python, follow, make_venv, pip
from infra.launcher.shell import show

LEVELS = ("unit", "integration", "e2e")
LOCK = ROOT / "tests" / "requirements.txt"
VENV = STATE / "venv-test"
RESULTS = STATE / "results"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
APT_INSTALL = (
    "apt-get",
    "install",
    "--quiet",
    "--yes",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=120",
)


class Result(NamedTuple):
    """What one level's pytest came to."""

    level: str
    passed: int
    failed: int
    skipped: tuple[tuple[str, str], ...]
    """Test and reason."""
    seconds: float
    crashed: str = ""
    """Set if pytest itself did not get through."""


def run_levels(levels: Sequence[str], expression: str, extra: Sequence[str], screen: Screen) -> int:
    """Runs the levels that are asked for, all if none is. 0 only if something ran and nothing failed."""
    for level in levels:
        if level not in LEVELS:
            raise Problem(
                f"There is no level {level!r}.", f"The levels are: {', '.join(LEVELS)}.", PRECONDITION
            )
    wanted = [level for level in LEVELS if not levels or level in levels]
    ensure_state()
    RESULTS.mkdir(exist_ok=True)
    ensure_environment(screen)
    environment = environment_for_tests(os.environ)
    if needs_browser(wanted):
        browser = ensure_browser(screen)
        if browser:
            environment["SLIPWAY_CHROMIUM"] = browser
    results = [run_level(level, expression, extra, environment, screen) for level in wanted]
    for line in summary(results):
        screen.say(line)
    return exit_status(results)


def run_level(
    level: str, expression: str, extra: Sequence[str], environment: dict[str, str], screen: Screen
) -> Result:
    folder, report = ROOT / "tests" / level, RESULTS / f"{level}.xml"
    if report.exists():
        report.unlink()
    if not folder.is_dir():
        return Result(level, 0, 0, (), 0, crashed=f"tests/{level} is not there")
    screen.say(f"\n── {level} " + "─" * (74 - len(level)))
    began = time.monotonic()
    chosen = ["-k", expression] if expression else []
    command = [
        str(VENV / "bin" / "python"),
        "-m",
        "pytest",
        str(folder),
        f"--junit-xml={report}",
        *chosen,
        *extra,
    ]
    status = show(command, environment)
    return read_report(level, report, status, time.monotonic() - began)


def read_report(level: str, report: Path, status: int, took: float) -> Result:
    """Counts from pytest's JUnit file; an error in a fixture counts as a failure."""
    try:
        cases = list(ElementTree.parse(str(report)).iter("testcase"))  # noqa: S314 - pytest has just written it
    except (OSError, ElementTree.ParseError):
        return Result(level, 0, 0, (), took, f"pytest ended with {status} and left no report")
    # A test that fails and whose clean-up fails too has two entries.
    outcome: dict[tuple[str, str], str] = {}
    reasons = []
    for case in cases:
        key = (case.get("classname", ""), case.get("name", ""))
        if case.find("failure") is not None or case.find("error") is not None:
            outcome[key] = "failed"
        elif case.find("skipped") is not None:
            outcome.setdefault(key, "skipped")
            skip = case.find("skipped")
            reasons.append((f"{key[0]}::{key[1]}", skip.get("message", "") if skip is not None else ""))
        else:
            outcome.setdefault(key, "passed")
    counts = list(outcome.values())
    # 0 all passed, 1 some failed, 5 none were chosen; the rest is pytest's own trouble.
    crashed = "" if status in (0, 1, 5) else f"pytest ended with exit status {status}"
    if status == 1 and "failed" not in counts:
        crashed = "pytest ended with exit status 1 without a failed test"
    return Result(level, counts.count("passed"), counts.count("failed"), tuple(reasons), took, crashed)


def summary(results: Sequence[Result]) -> list[str]:
    """A line for each level, each skip with its reason, and the totals alone on the last line."""
    lines = ["", "Summary"]
    for result in results:
        counts = f"{result.passed} passed, {result.failed} failed, {len(result.skipped)} skipped"
        trouble = f"; {result.crashed}" if result.crashed else ""
        lines.append(f"  {result.level:<12} {counts}  ({seconds(result.seconds)}){trouble}")
        lines += [f"      skipped {name}: {reason or 'no reason given'}" for name, reason in result.skipped]
    totals = [sum(column) for column in zip(*((r.passed, r.failed, len(r.skipped)) for r in results))]  # noqa: B905
    passed, failed, skipped = totals
    if passed + failed == 0:
        lines.append("  No test ran.")
    return [*lines, f"{passed} passed, {failed} failed, {skipped} skipped"]


def exit_status(results: Sequence[Result]) -> int:
    ran = sum(result.passed + result.failed for result in results)
    wrong = any(result.failed or result.crashed for result in results)
    return FAILED if wrong or not ran else 0


# ── what the tests need on this machine ───────────────────────────────────────────────────────────────────


def ensure_environment(screen: Screen) -> None:
    """A virtual environment with exactly what tests/requirements.txt locks; made anew when that file
    changes.
    """
    python = find_python()
    mark, wanted = VENV / "slipway-lock", f"{python} {hashlib.sha256(LOCK.read_bytes()).hexdigest()}"
    if mark.exists() and mark.read_text() == wanted:
        return
    screen.say(f"Making the tests' environment in {short(VENV)} (a few minutes, the first time)")
    try:
        make_venv(python, VENV)
    except NoVenvModule:
        if not install_packages(["python3-venv"], screen):
            raise
        make_venv(python, VENV)
    command = [*pip(VENV / "bin" / "python"), "install", "--require-hashes", "--no-deps"]
    follow([*command, "--progress-bar", "off", "-r", str(LOCK)], STATE / "logs" / "venv-test.log", screen)
    mark.write_text(wanted)
    screen.good("the tests' environment is ready")


def environment_for_tests(current: os._Environ[str] | dict[str, str]) -> dict[str, str]:
    """Programs of the environment come first on PATH, and the checkout's packages can be imported."""
    path = os.pathsep.join([str(VENV / "bin"), current.get("PATH", os.defpath)])
    python_path = os.pathsep.join(filter(None, [str(ROOT), current.get("PYTHONPATH", "")]))
    return {"PATH": path, "PYTHONPATH": python_path, "VIRTUAL_ENV": str(VENV)}


def needs_browser(levels: Sequence[str]) -> bool:
    """True if a test of these levels is marked as one that drives a browser."""
    marked = re.compile(r"mark\.browser\b")
    files = (path for level in levels for path in (ROOT / "tests" / level).rglob("*.py"))
    return any(marked.search(path.read_text(encoding="utf-8", errors="replace")) for path in files)


def ensure_browser(screen: Screen) -> str | None:
    """The path of a Chromium; installed with apt where that can be done, else None and a line on what to
    do.
    """
    found = find_browser()
    if not found and install_packages(["chromium", "fonts-dejavu-core"], screen, only_debian=True):
        found = find_browser()
    if not found:
        screen.say(
            "Note: no Chromium was found; the tests that drive a browser cannot run. Install `chromium`"
        )
        screen.say("      (Debian: sudo apt-get install chromium) or put google-chrome on PATH.")
    return found


def find_browser() -> str | None:
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def install_packages(packages: Sequence[str], screen: Screen, only_debian: bool = False) -> bool:
    """Installs with apt where this is root on Debian (or Ubuntu); false where it is not, or where it
    failed.
    """
    system = read_os_release().get("ID", "")
    # Ubuntu's chromium package is a stub for snap, which does not work without an init system.
    if os.geteuid() != 0 or system not in (("debian",) if only_debian else ("debian", "ubuntu")):
        return False
    screen.say(f"Installing {' '.join(packages)} with apt for the tests")
    unattended = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(
            ["apt-get", "update", "--quiet"],
            "See that apt-get reaches its mirror.",
            env=unattended,
            timeout=300,
        )
        run([*APT_INSTALL, *packages], "See that apt-get reaches its mirror.", env=unattended, timeout=1800)
    except (Refusal, subprocess.TimeoutExpired) as error:
        screen.say(f"  {error}")
        return False
    return True
