"""What the gateway and the door-keeper add to a prediction, on a Compose stack with a model in Production.

    .slipway/venv-test/bin/python -m tests.bench.door_figures [ROUNDS]

starts a stack of its own (project slipway-bench), rolls a model out, and asks the same question of serving's
container directly, through the gateway with an API key (which serving checks), and through the gateway with a
person's token (which the door-keeper asks the hub about). It prints a Markdown table.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field

import httpx

from tests.bench.figures import BODY, first_prediction
from tests.e2e import people
from tests.support.browser import chromium
from tests.support.installation import Stack

PROJECT = "slipway-bench"
ROUNDS, CALLS = 7, 400


@dataclass
class Way:
    """How serving is reached: an address and what a client sends with it."""

    name: str
    url: str
    credential: str
    milliseconds: list[float] = field(default_factory=list)

    def ask(self, calls: int) -> None:
        """One client on one connection, one call after the other."""
        headers = {"Authorization": f"Bearer {self.credential}"}
        with httpx.Client(headers=headers, timeout=30) as client:
            for _ in range(calls):
                began = time.perf_counter()
                client.post(self.url, json=BODY).raise_for_status()
                self.milliseconds.append((time.perf_counter() - began) * 1000)

    def quantiles(self) -> tuple[float, float]:
        cuts = statistics.quantiles(self.milliseconds, n=100)
        return cuts[49], cuts[98]


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    stack = Stack(PROJECT)
    stack.slipway("down", "--volumes", "--yes", check=False)
    try:
        stack.slipway("up", timeout=3600)
        with chromium() as browser:
            page = browser.new_page(base_url=stack.url)
            name, password = stack.administrator()
            people.log_in(page, name, password)
            token = people.api_token(page, name)
        ways = measure(stack, first_prediction(stack.url, token), token, rounds)
    finally:
        stack.slipway("down", "--volumes", "--yes", check=False)
    print(table(ways))
    return 0


def measure(stack: Stack, key: str, token: str, rounds: int) -> list[Way]:
    ways = [
        Way("serving's container, an API key", f"http://{address_of_serving(stack)}:8000/predict", key),
        Way("through the gateway, an API key", f"{stack.url}/serving/predict", key),
        Way("through gateway and door-keeper, a person's token", f"{stack.url}/serving/predict", token),
    ]
    for number in range(rounds + 1):
        # In turn forwards and backwards: what else the machine does hits all alike.
        for way in ways if number % 2 else ways[::-1]:
            way.ask(CALLS)
            if number == 0:  # warm now
                way.milliseconds.clear()
    return ways


def address_of_serving(stack: Stack) -> str:
    container = stack.compose("ps", "--quiet", "serving").stdout.split()[0]
    template = '{{(index .NetworkSettings.Networks "%s_apps").IPAddress}}' % PROJECT  # noqa: UP031 - Go's braces
    return stack.docker("inspect", "--format", template, container).stdout.strip()


def table(ways: list[Way]) -> str:
    lines = ["| way to a prediction | p50 | p99 | added p50 | added p99 |", "| --- | --- | --- | --- | --- |"]
    base50, base99 = ways[0].quantiles()
    for way in ways:
        p50, p99 = way.quantiles()
        lines.append(
            f"| {way.name} | {p50:.2f} ms | {p99:.2f} ms | {p50 - base50:+.2f} ms | {p99 - base99:+.2f} ms |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
