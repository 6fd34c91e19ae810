"""Measures the platform without Docker as a newcomer meets it and prints the README's table.

    .slipway/venv-test/bin/python -m tests.bench.embedded_figures

It clones this checkout into a temporary folder, where everything is made anew, first with an empty and then
with a filled package cache, and removes it again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figures import Rows, first_prediction
from tests.e2e import people
from tests.support.browser import chromium
from tests.support.installation import REPOSITORY, Embedded


def main() -> int:
    argparse.ArgumentParser(description=__doc__.split("\n")[0]).parse_args()
    rows = Rows()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        cache = Path(folder) / "cache"
        for number, words in enumerate(("an empty package cache", "a filled package cache")):
            platform = clone(Path(folder) / str(number), cache)
            try:
                from_clone(platform, words, rows)
                if number == 1:
                    once_it_is_there(platform, rows)
            finally:
                platform.slipway("down", "--volumes", "--yes", check=False)
    print(rows.table())
    return 0


def clone(folder: Path, cache: Path) -> Embedded:
    subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(folder)], check=True)
    platform = Embedded("slipway-bench", folder)
    caches = {"PIP_CACHE_DIR": str(cache / "pip"), "UV_CACHE_DIR": str(cache / "uv")}
    platform.environment.update(caches, SLIPWAY_HOME=str(folder / ".slipway"))
    return platform


def from_clone(platform: Embedded, words: str, rows: Rows) -> None:
    began = time.monotonic()
    with rows.timed(f"`./slipway up` in a fresh clone, {words}"):
        said = platform.slipway("up").stdout
    link = re.search(r"http\S+one-time-login\S+", said).group()
    with chromium() as browser:
        page = browser.new_page(base_url=platform.url)
        page.goto(link)
        first_prediction(platform.url, people.api_token(page, platform.administrator()[0]))
    rows.note(
        "… to the first prediction (log in, train one sample, register, roll out, predict)",
        f"{time.monotonic() - began:.0f} s",
    )


def once_it_is_there(platform: Embedded, rows: Rows) -> None:
    time.sleep(60)
    memory_at_rest(platform, rows)
    with chromium() as browser:
        page = browser.new_page(base_url=platform.url)
        name, password = platform.administrator()
        people.log_in(page, name, password)
        page.set_default_timeout(people.STARTING)
        rows.note(
            "a notebook server's start, to JupyterLab on the screen",
            f"{people.start_server(page, name):.0f} s",
        )
    with rows.timed("`./slipway up`, when it is up"):
        platform.slipway("up")
    with rows.timed("`./slipway down`"):
        platform.slipway("down")
    with rows.timed("`./slipway up`, environment and data there"):
        platform.slipway("up")
    disk(platform, rows)


def memory_at_rest(platform: Embedded, rows: Rows) -> None:
    services = json.loads(platform.slipway("status", "--json").stdout)["services"]
    used = {one["service"]: one["memory_bytes"] / 2**20 for one in services}
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(used.items(), key=lambda item: -item[1]))
    rows.note("memory of all services at rest", f"{sum(used.values()):.0f} MiB ({parts})")


def disk(platform: Embedded, rows: Rows) -> None:
    sizes = {}
    for name in ("venv-platform", "venv-notebook", "embedded"):
        shown = subprocess.run(
            ["du", "-sm", str(platform.home / name)], capture_output=True, text=True, check=True
        )
        sizes[name] = shown.stdout.split()[0]
    rows.note("disk", ", ".join(f"{name} {size} MB" for name, size in sizes.items()))


if __name__ == "__main__":
    sys.exit(main())
