"""Runs the commands of ./slipway and says with which exit status each comes back.

0: done. 1: tried and failed. 2: wrong usage, or the machine is not ready and nothing was changed. 128 + n:
signal n.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from infra.launcher.arguments import parser, split_extra
from infra.launcher.problem import FAILED, PRECONDITION, Interrupted, Problem, raise_interrupted
from infra.launcher.progress import Screen


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status. Never shows a stack trace for a mishap it knows."""
    from infra.docker.system import Refusal

    options = parser().parse_args(split_extra(arguments if arguments is not None else sys.argv[1:]))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, raise_interrupted)
    screen = Screen()
    try:
        return COMMANDS[options.command](options, screen)
    except (Problem, Refusal) as problem:
        screen.clear()
        sys.stdout.flush()
        print(f"slipway: {problem}", file=sys.stderr)
        return problem.status if isinstance(problem, Problem) else FAILED
    except BrokenPipeError:
        # The reader, such as `| head`, has enough. Python would complain of it once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        screen.clear()
        print(f"slipway: {error}", file=sys.stderr)
        if isinstance(error, PermissionError):
            print(
                "  Was it made with sudo before? Give it back: sudo chown -R $USER .slipway .env",
                file=sys.stderr,
            )
        return FAILED
    except Interrupted as interrupted:
        screen.clear()
        print("slipway: stopped before it was done; run the same command again to go on.", file=sys.stderr)
        return interrupted.status


# Each command's module is imported when the command is run, so that one in trouble does not break the others.


def _up(options: argparse.Namespace, screen: Screen) -> int:
    from infra.launcher import settings, up, ways

    of_docker = options.install_docker or options.no_build or options.offline is not None
    if of_docker and options.way == ways.EMBEDDED:
        raise Problem(
            "--install-docker, --offline, --online and --no-build are for the Compose stack.",
            "Leave them out, or leave out --embedded.",
            PRECONDITION,
        )
    project = settings.load().project
    way, no_engine = ways.choose(project, options.way or (ways.DOCKER if of_docker else None))
    if way == ways.DOCKER:
        wanted = up.Options(
            options.install_docker, options.yes, options.offline, options.timeout, build=not options.no_build
        )
        status = up.run(wanted, screen)
    else:
        from infra.embedded import up as embedded

        if no_engine:
            screen.say(
                "No Docker Engine answers, so Slipway starts embedded, for this machine alone; "
                "`./slipway up --docker` leads to the team's stack."
            )
        status = embedded.run(embedded.Options(options.timeout, options.open), screen)
    ways.note(project, way)
    return status


def _is_embedded(options: argparse.Namespace) -> bool:
    from infra.launcher import settings, ways

    return ways.choose(settings.load().project, options.way)[0] == ways.EMBEDDED


def _down(options: argparse.Namespace, screen: Screen) -> int:
    if _is_embedded(options):
        from infra.embedded import down as embedded

        return embedded.run(options.volumes, options.yes, screen)
    from infra.launcher import down

    return down.run(options.volumes, options.yes, screen)


def _status(options: argparse.Namespace, screen: Screen) -> int:
    if _is_embedded(options):
        from infra.embedded import status as embedded

        return embedded.run(options.json, screen)
    from infra.launcher import status

    return status.run(options.json, screen)


def _logs(options: argparse.Namespace, screen: Screen) -> int:
    if _is_embedded(options):
        from infra.embedded import logs as embedded

        return embedded.run(options.services, options.follow, options.tail)
    from infra.launcher import logs

    return logs.run(options.services, options.follow, options.tail)


def _restart(options: argparse.Namespace, screen: Screen) -> int:
    if _is_embedded(options):
        from infra.embedded import restart as embedded

        return embedded.run(options.services, options.timeout, screen)
    from infra.launcher import restart

    return restart.run(options.services, options.timeout, screen)


def _migrate(options: argparse.Namespace, screen: Screen) -> int:
    from infra.launcher import settings, ways
    from infra.migrate import command

    status = command.run(options, screen)
    if status == 0:
        ways.note(settings.load().project, ways.DOCKER)
    return status


def _test(options: argparse.Namespace, screen: Screen) -> int:
    from infra.launcher import tests

    return tests.run_levels(options.levels, options.expression, options.pytest, screen)


def _install_docker(options: argparse.Namespace, screen: Screen) -> int:
    from infra.docker.install import main as install

    return install(options.yes)


def _admin_password(options: argparse.Namespace, screen: Screen) -> int:
    from infra.launcher import login

    if _is_embedded(options):
        from infra.embedded.password import password

        return login.show(password, screen)
    return login.show(login.password_of_stack, screen)


def _users(options: argparse.Namespace, screen: Screen) -> int:
    from infra.launcher import settings, users

    chosen = settings.load()
    if _is_embedded(options):
        from infra.embedded import users as embedded

        return users.run(options, embedded.hub(chosen), users.delete_folder, screen)
    return users.run(options, users.hub_of_stack(chosen), users.delete_volume, screen)


def _doctor(options: argparse.Namespace, screen: Screen) -> int:
    if _is_embedded(options):
        from infra.embedded import doctor as embedded

        return embedded.run(screen)
    from infra.launcher import doctor

    return doctor.run(screen)


COMMANDS = {
    "up": _up,
    "down": _down,
    "status": _status,
    "logs": _logs,
    "restart": _restart,
    "migrate": _migrate,
    "test": _test,
    "install-docker": _install_docker,
    "admin-password": _admin_password,
    "users": _users,
    "doctor": _doctor,
}
