"""Debian's Chromium, driven by Playwright, with the flags that keep it quiet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

# Without these a headless Chromium calls home at every start.
QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser; SLIPWAY_CHROMIUM, which `./slipway test` sets, names its program."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_program(), args=_flags())
        yield browser
        browser.close()


@contextmanager
def another(browser: Browser, *flags: str) -> Iterator[Browser]:
    """One more browser beside this one, with flags of its own: a test has one Playwright."""
    other = browser.browser_type.launch(executable_path=_program(), args=[*_flags(), *flags])
    yield other
    other.close()


def _program() -> str:
    path = os.environ.get("SLIPWAY_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "no Chromium found; install the package chromium or set SLIPWAY_CHROMIUM to its path"
    return path


def _flags() -> list[str]:
    # Root may not use Chromium's own sandbox.
    return [*QUIET, "--no-sandbox"] if os.geteuid() == 0 else list(QUIET)
