"""`python -m slipway_hub.users list | invite NAME | …`: asks the running hub, from beside it, to do something
with people. `./slipway users` explains it.

Exit 0: done. 1: the hub refuses or does not answer, and stderr says why. 2: wrong usage.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

from slipway_hub.settings import Settings, settings_or_exit

ACTIONS = ("list", "invite", "reset", "approve", "suspend", "admin", "remove")
SAYS = {
    "approve": "{name} may log in.",
    "suspend": "{name} may not log in; sessions, tokens and the notebook server are ended.",
    "admin": "{name} is an administrator.",
    "remove": "The account {name} is gone.",
}


class Refused(Exception):
    """What the hub says against it, or that it does not answer."""


def main(arguments: Sequence[str] | None = None) -> int:
    wanted = parser().parse_args(arguments)
    if (wanted.action == "list") == bool(wanted.name):
        parser().error("list takes no NAME" if wanted.name else f"{wanted.action} needs a NAME")
    try:
        answer = ask(settings_or_exit(), wanted)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2) if wanted.json else in_words(answer, wanted))
    return 0


def parser() -> argparse.ArgumentParser:
    one = argparse.ArgumentParser(prog="python -m slipway_hub.users", allow_abbrev=False)
    one.add_argument("action", choices=ACTIONS)
    one.add_argument("name", nargs="?", default="", metavar="NAME")
    one.add_argument("--admin", action="store_true", help="invite: as an administrator")
    one.add_argument("--remove", action="store_true", help="admin: one no more")
    one.add_argument("--json", action="store_true", help="for programs")
    return one


def ask(settings: Settings, wanted: argparse.Namespace) -> Any:
    url, body = f"http://127.0.0.1:{urlsplit(settings.hub_bind_url).port}/hub/api/slipway/people", None
    if wanted.action != "list":
        admin = wanted.admin if wanted.action == "invite" else not wanted.remove
        url += f"/{quote(wanted.name, safe='')}/{wanted.action}"
        body = json.dumps({"admin": admin}).encode()
    headers = {
        "Authorization": f"token {settings.hub_operator_token.get_secret_value()}",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(url, body, headers)  # noqa: S310 (http, ours)
    try:
        # Ending a notebook server takes its time.
        with urllib.request.urlopen(request, timeout=50) as reply:  # noqa: S310 (http, ours)
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise Refused(message_of(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Refused(f"The hub does not answer ({reason}); `./slipway up` starts it.") from None


def message_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError):
        return f"The hub answers {error.code}; `./slipway logs hub` may tell why."


def in_words(answer: Any, wanted: argparse.Namespace) -> str:
    name = wanted.name
    if wanted.action == "list":
        return table(answer)
    if wanted.action in ("invite", "reset"):
        until = datetime.fromisoformat(answer["expires"]).strftime("%d %B %Y, %H:%M UTC")
        return (
            f"On this page {name} chooses a password, once, until {until}:\n"
            f"  {answer['link']}\n"
            "Whoever has the link can use it: send it to nobody else."
        )
    if wanted.action == "admin" and wanted.remove:
        return f"{name} is no administrator any more."
    said = SAYS[wanted.action].format(name=name)
    if answer.get("files"):
        said += f"\nThe files are kept in {answer['files']}; whoever is given this name next finds them."
    return said


def table(people: Sequence[dict[str, Any]]) -> str:
    rows = [("name", "state", "administrator", "groups", "last seen")]
    for one in people:
        seen = (one["last_activity"] or "never")[:16].replace("T", " ")
        rows.append(
            (one["name"], one["state"], "yes" if one["admin"] else "", ", ".join(one["groups"]), seen)
        )
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    return "\n".join(
        "  ".join([*(f"{word:<{width}}" for word, width in zip(row, widths, strict=False)), row[4]])
        for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
