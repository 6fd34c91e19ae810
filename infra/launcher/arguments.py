"""What can be typed after ./slipway, and what each --help teaches. What is done with it: cli.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from infra.launcher import users_arguments as users
from infra.migrate import arguments as migrate


def split_extra(arguments: Sequence[str]) -> list[str]:
    """`-- ARGS` of `test` are kept together in one option, which argparse would otherwise take apart."""
    words = list(arguments)
    if words[:1] == ["test"] and "--" in words:
        cut = words.index("--")
        return words[:cut] + [f"--pytest={word}" for word in words[cut + 1 :]]
    return words


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="slipway",
        description="Starts and looks after a Slipway platform: notebooks, tracking, model serving.",
        epilog="Options of the platform itself are variables in .env; .env.example lists them.\n"
        "`./slipway COMMAND --help` has examples.\n"
        "Exit status: 0 done, 1 tried and failed, 2 not ready or wrong usage, 130 stopped by Ctrl-C.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, words: str, description: str, examples: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=words,
            description=description,
            epilog=f"examples:\n{examples}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    one = command(
        "up",
        "check the machine, build, start, wait, and say how to log in",
        "Checks the machine before anything is changed, builds what is not built, starts the platform,\n"
        "waits until every service is healthy, and tells the addresses and how to log in. Run again, it\n"
        "changes nothing.\n\n"
        "Where a Docker Engine answers, that is the Compose stack, for a team. Elsewhere the same services\n"
        "run embedded: processes of this account, on SQLite and local files, for this machine alone. What\n"
        "was chosen once is kept.",
        "  ./slipway up                          start, or find it running\n"
        "  ./slipway up --embedded --open        without Docker, and open the browser, logged in\n"
        "  sudo ./slipway up --install-docker    on a bare Debian or Ubuntu server\n"
        "  ./slipway up --offline                build what a container registry would have given\n"
        "  HTTP_PORT=9000 ./slipway up           an option for once; .env keeps it",
    )
    add_ways(one)
    one.add_argument("--open", action="store_true", help="embedded: open the browser, logged in")
    one.add_argument(
        "--install-docker", action="store_true", help="first install the Docker Engine where it is missing"
    )
    one.add_argument("--yes", action="store_true", help="ask nothing")
    where = one.add_mutually_exclusive_group()
    where.add_argument(
        "--offline",
        dest="offline",
        action="store_true",
        default=None,
        help="build the images that a registry would have given, without asking whether one is reached",
    )
    where.add_argument(
        "--online",
        dest="offline",
        action="store_false",
        help="pull from the registry, and forget images that were built offline",
    )
    one.add_argument(
        "--timeout",
        type=positive,
        default=900.0,
        metavar="S",
        help="seconds to wait for the services, after images are built (default 900)",
    )
    one.add_argument("--no-build", action="store_true", help="take our own images as they are")
    one.set_defaults(command="up")

    one = command(
        "down",
        "stop the platform and the users' servers",
        "Stops all services and notebooks, and nothing else. Data stays unless --volumes is given.",
        "  ./slipway down                  stop; `./slipway up` continues where it was\n"
        "  ./slipway down --volumes        delete all data too; asks for the project's name first",
    )
    add_ways(one)
    one.add_argument("--volumes", action="store_true", help="delete all data, users' files too")
    one.add_argument("--yes", action="store_true", help="with --volumes: do not ask")
    one.set_defaults(command="down")

    one = command(
        "status",
        "each service: its state, since when, its memory",
        "Shows each service and each user's server. Exit status 0 only if all is well.",
        "  ./slipway status\n  ./slipway status --json | jq '.services[] | select(.phase != \"well\")'",
    )
    add_ways(one)
    one.add_argument("--json", action="store_true", help="for programs")
    one.set_defaults(command="status")

    one = command(
        "logs",
        "what the services wrote",
        "Prints the services' logs, all of them or the ones named.",
        "  ./slipway logs mlflow\n  ./slipway logs -f hub proxy\n  ./slipway logs --tail 50",
    )
    add_ways(one)
    one.add_argument("services", nargs="*", metavar="SERVICE", help="as `./slipway status` lists them")
    one.add_argument("-f", "--follow", action="store_true", help="go on as more is written, until Ctrl-C")
    one.add_argument("--tail", default="200", metavar="N", help="lines of each, or `all` (default 200)")
    one.set_defaults(command="logs")

    one = command(
        "restart",
        "services anew; serving without a request lost",
        "Restarts services one after the other and waits until each is ready.\n\n"
        "Serving's replicas are replaced: a new one, of the present image and options, is ready before an\n"
        "old one is told to stop, which finishes what it has. That needs memory for one more.\n"
        "Embedded there is one serving process: requests wait at the gateway until it is back.",
        "  ./slipway restart serving\n  ./slipway restart mlflow hub",
    )
    add_ways(one)
    one.add_argument("services", nargs="+", metavar="SERVICE", help="as `./slipway status` lists them")
    one.add_argument(
        "--timeout",
        type=positive,
        default=180.0,
        metavar="S",
        help="seconds to wait until each is ready (default 180)",
    )
    one.set_defaults(command="restart")

    one = command(
        "test",
        "run the tests and say what was skipped and why",
        "Makes an environment for the tests in .slipway/ and runs the levels in order. The end-to-end\n"
        "tests bring up a stack of their own, with other names and ports.",
        "  ./slipway test                         everything\n"
        "  ./slipway test unit integration        these levels\n"
        "  ./slipway test unit -k launcher        tests whose name matches\n"
        "  ./slipway test e2e -- -x --pdb         what follows -- goes to pytest",
    )
    one.add_argument(
        "levels", nargs="*", metavar="LEVEL", help="unit, integration, e2e (default: all, in this order)"
    )
    one.add_argument("-k", dest="expression", default="", metavar="EXPR", help="pytest's -k")
    one.add_argument("--pytest", action="append", default=[], help=argparse.SUPPRESS)
    one.set_defaults(command="test")

    one = command("migrate", migrate.HELP, migrate.DESCRIPTION, migrate.EXAMPLES)
    migrate.add_arguments(one)
    one.set_defaults(command="migrate")

    one = command(
        "install-docker",
        "install a Docker Engine with Compose and Buildx",
        "Says what it will do, then installs what is missing from the distribution's own packages and\n"
        "starts the engine. Debian 12 and 13, Ubuntu 22.04 and newer; needs root.",
        "  sudo ./slipway install-docker\n"
        "  sudo ./slipway install-docker --yes    ask nothing, as in a script",
    )
    one.add_argument("--yes", action="store_true", help="do not ask before installing")
    one.set_defaults(command="install-docker")

    one = command(
        "admin-password",
        "show the first administrator's one-time password",
        "Shows the name and the one-time password of the first administrator until it has been changed.",
        "  ./slipway admin-password",
    )
    add_ways(one)
    one.set_defaults(command="admin-password")

    one = command("users", users.HELP, users.DESCRIPTION, users.EXAMPLES)
    users.add_arguments(one, add_ways)
    one.set_defaults(command="users")

    one = command(
        "doctor",
        "all checks, and what runs; changes nothing",
        "Runs every check of `up` and tells versions, free disk, images and services. Changes nothing.\n"
        "Exit status 2 if something stands in the way of `up`, 1 if a service that runs is not well.",
        "  ./slipway doctor                 attach its output to a report of a fault",
    )
    add_ways(one)
    one.set_defaults(command="doctor")
    return whole


def add_ways(command: argparse.ArgumentParser) -> None:
    way = command.add_mutually_exclusive_group()
    way.add_argument(
        "--embedded",
        dest="way",
        action="store_const",
        const="embedded",
        help="the platform that runs without Docker",
    )
    way.add_argument("--docker", dest="way", action="store_const", const="docker", help="the Compose stack")


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number
