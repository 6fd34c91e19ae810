"""What can be typed after `./slipway migrate`, and what its --help teaches."""

from __future__ import annotations

import argparse

HELP = "take an embedded platform into the Compose stack, and verify it"
DESCRIPTION = """\
Takes runs, artifacts, registered models with aliases and stages, users and notebooks of the embedded
platform into the Compose stack of the same name, which is started if it does not run. Counts, digests and a
prediction of each model in Production are compared on both sides; the exit status is 0 only if all agree.

The embedded platform is stopped and stays as it is: `./slipway up --embedded` goes back to it. Interrupted,
the same command goes on. A stack that holds other work is not written to, unless --merge says how.

Not taken: tokens and sessions (people log in anew), running notebooks, caches, and what users installed with
`pip`, which is for another Python."""
EXAMPLES = """\
  ./slipway migrate --to docker                    into a stack in which nobody has worked
  ./slipway migrate --to docker --merge rename     beside other work: an experiment, a model or a user
                                                   whose name is taken comes in as NAME-embedded; files
                                                   come into ~/from-embedded of a home that has some"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", choices=["docker"], required=True, help="where to: the Compose stack")
    parser.add_argument(
        "--merge",
        choices=["rename"],
        help="also into a stack that holds other work; what has the same name is renamed, nothing is joined",
    )
    parser.add_argument("--yes", action="store_true", help="ask nothing")
