"""Tells where the platform is and how to log in."""

from __future__ import annotations

from collections.abc import Callable

from infra.launcher import compose, engine, settings
from infra.launcher.problem import Problem
from infra.launcher.progress import Screen
from infra.launcher.settings import Settings
from infra.launcher.shell import Answer

CHANGED = 3


def addresses(chosen: Settings) -> list[str]:
    """The lines that name each address."""
    url = chosen.public_url
    return [
        f"  Start here      {url}/",
        f"  Notebooks       {url}/hub",
        f"  MLflow          {url}/mlflow",
        f"  Model serving   {url}/serving/docs",
    ]


def password_of_stack(chosen: Settings) -> tuple[str, str]:
    """The administrator's name and one-time password; the password is empty once it has been changed.

    A Problem if the hub cannot tell.
    """
    engine.look()
    return read(
        compose.execute(chosen.project, "hub", ["python", "-m", "slipway_hub.admin_password"]),
        chosen.admin_user,
    )


def read(answer: Answer, administrator: str) -> tuple[str, str]:
    """What `slipway_hub.admin_password` has answered."""
    if answer.status == CHANGED:
        return administrator, ""
    words = answer.out.split()
    if not answer.ok or len(words) < 2:
        raise Problem(
            f"The hub does not tell the administrator's password: {answer.last_words(3)}",
            "See `./slipway status`; when the hub is healthy: `./slipway admin-password`.",
        )
    return words[-2], words[-1]


def tell(chosen: Settings, screen: Screen) -> None:
    """Prints addresses and log-in; a hub that cannot tell the password is no failure of what was done
    before.
    """
    screen.say()
    for line in addresses(chosen):
        screen.say(line)
    screen.say()
    if chosen.values.get("OIDC_ISSUER"):
        screen.say(f"  Log in with your account at {chosen.values['OIDC_ISSUER']}.")
        return
    try:
        name, word = password_of_stack(chosen)
    except Problem as problem:
        screen.say(f"  {problem}")
        return
    if word:
        screen.say(f"  Log in as {name} with the one-time password {word} (change it after the first login).")
    else:
        screen.say(f"  Log in as {name} with the password you chose.")
    screen.say("  Others sign up on the hub's page, and an administrator lets them in.")


def show(password: Callable[[Settings], tuple[str, str]], screen: Screen) -> int:
    """`./slipway admin-password`: 0 if there is one to show, or it was changed; a Problem if that cannot be
    told.
    """
    name, word = password(settings.load())
    if word:
        screen.say(f"name      {name}")
        screen.say(f"password  {word}")
    else:
        screen.say(f"The password of {name} has been changed; it is not kept anywhere in clear.")
    return 0
