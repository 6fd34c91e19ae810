"""Measures the platform as an operator meets it and prints the README's table.

    .slipway/venv-test/bin/python -m tests.bench.platform_figures [--from-nothing]

It starts a stack of its own (project slipway-bench) and removes it again. `--from-nothing` first removes
Slipway's images and the engine's build cache, so that the first start is a new machine's.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time

from tests.bench.figures import Rows, first_prediction
from tests.e2e import people
from tests.support.browser import chromium
from tests.support.installation import Stack

PROJECT = "slipway-bench"
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--from-nothing", action="store_true", help="remove images and build cache first")
    arguments = parser.parse_args()
    stack = Stack(PROJECT)
    stack.slipway("down", "--volumes", "--yes", check=False)
    if arguments.from_nothing:
        remove_images(stack)
    rows = Rows()
    try:
        measure(stack, rows, arguments.from_nothing)
    finally:
        stack.slipway("down", "--volumes", "--yes", check=False)
    print(rows.table())
    return 0


def measure(stack: Stack, rows: Rows, from_nothing: bool) -> None:
    began = time.monotonic()
    with rows.timed(
        "`./slipway up`, no images, no volumes" if from_nothing else "`./slipway up`, new volumes"
    ):
        stack.slipway("up", timeout=3600)
    with chromium() as browser:
        page = browser.new_page(base_url=stack.url)
        name, password = stack.administrator()
        people.log_in(page, name, password)
        first_prediction(stack.url, people.api_token(page, name))
        rows.note(
            "… to the first prediction (log in, train one sample, register, roll out, predict)",
            f"{time.monotonic() - began:.0f} s",
        )
        time.sleep(60)
        memory_at_rest(stack, rows)
        page.set_default_timeout(people.STARTING)
        rows.note(
            "a notebook server's start, to JupyterLab on the screen",
            f"{people.start_server(page, name):.0f} s",
        )
    with rows.timed("`./slipway up`, when it is up"):
        stack.slipway("up")
    with rows.timed("`./slipway down`"):
        stack.slipway("down")
    with rows.timed("`./slipway up`, images and data there"):
        stack.slipway("up")
    image_sizes(stack, rows)


def memory_at_rest(stack: Stack, rows: Rows) -> None:
    ids = stack.docker(
        "ps", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}"
    ).stdout.split()
    shown = stack.docker("stats", "--no-stream", "--format", "{{json .}}", *ids).stdout
    used = {}
    for line in shown.splitlines():
        one = json.loads(line)
        number, unit = re.match(r"([\d.]+)(\w+)", one["MemUsage"]).groups()
        used[one["Name"].removeprefix(f"{PROJECT}-").rsplit("-", 1)[0]] = float(number) * UNITS[unit] / 2**20
    parts = ", ".join(f"{name} {size:.0f}" for name, size in sorted(used.items(), key=lambda item: -item[1]))
    rows.note("memory of the whole stack at rest", f"{sum(used.values()):.0f} MiB ({parts})")


def image_sizes(stack: Stack, rows: Rows) -> None:
    listing = stack.docker(
        "images", "--format", "{{.Repository}} {{.Size}}", "--filter", "reference=slipway*/*"
    ).stdout
    sizes = {line.split()[0]: line.split()[1] for line in listing.splitlines()}
    rows.note("image sizes", ", ".join(f"{name} {size}" for name, size in sorted(sizes.items())))


def remove_images(stack: Stack) -> None:
    listing = stack.docker("images", "--quiet", "--filter", "reference=slipway*/*").stdout.split()
    if listing:
        stack.docker("rmi", "--force", *dict.fromkeys(listing), check=False)
    stack.docker("builder", "prune", "--all", "--force")


if __name__ == "__main__":
    sys.exit(main())
