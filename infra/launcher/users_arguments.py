"""What can be typed after ./slipway users, and what its --help teaches. What is done with it: users.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable

HELP = "invite people, list them, make administrators, reset passwords"
DESCRIPTION = """\
Asks the running hub to do something with people; it needs no browser and no password. The page
`Accounts` of the hub does the same for administrators.

Where people log in at the company's provider (OIDC_CLIENT_ID), `list` and `remove` are of use. The others
are not, and say so: the provider knows who may log in, and OIDC_ADMIN_USERS and OIDC_ADMIN_GROUPS say who
is an administrator."""
EXAMPLES = """\
  ./slipway users                       who there is
  ./slipway users invite ann            prints a link, on which ann chooses a password
  ./slipway users approve ben           lets in who signed up
  ./slipway users admin ann             makes ann an administrator; --remove takes it back
  ./slipway users reset ann             ends ann's sessions and password, prints a link for a new one
  ./slipway users suspend ben           ends all that ben has open; `approve` lets him in again
  ./slipway users remove ben            also deletes the account; --files the notebooks too
  ./slipway users list --json | jq -r '.[] | select(.state == "waits") | .name'"""

ACTIONS = (
    ("list", "everybody: name, state, administrator or not, groups, when last seen"),
    ("invite", "an account, approved, and a link for 7 days to choose a password"),
    ("approve", "let somebody in who signed up or was suspended"),
    ("reset", "end the password, sessions and tokens; print a link for a day to choose a new password"),
    ("admin", "make somebody an administrator, or no longer one"),
    ("suspend", "end sessions, tokens and the notebook server, and let in no more"),
    ("remove", "suspend, and delete the account; the files stay unless --files is given"),
)


def add_arguments(
    command: argparse.ArgumentParser, add_ways: Callable[[argparse.ArgumentParser], None]
) -> None:
    command.set_defaults(action="list", name="", json=False, way=None)
    actions = command.add_subparsers(title="actions", metavar="ACTION")
    for action, what in ACTIONS:
        one = actions.add_parser(
            action, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
        )
        if action != "list":
            one.add_argument("name", metavar="NAME", help="as `./slipway users` lists it")
        if action == "invite":
            one.add_argument("--admin", action="store_true", help="as an administrator")
        if action == "admin":
            one.add_argument("--remove", action="store_true", help="no longer an administrator")
        if action == "remove":
            one.add_argument(
                "--files", action="store_true", help="delete the person's notebooks too, for good"
            )
        else:
            one.add_argument("--json", action="store_true", help="for programs")
        add_ways(one)
        one.set_defaults(action=action)
