"""What an administrator's page and the operator's command can do with people. Both come here, so that one
rule holds for both; how it is asked and answered is theirs (account_pages.py, operator_api.py).
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urljoin

from jupyterhub.roles import assign_default_roles
from jupyterhub.utils import maybe_future
from nativeauthenticator.orm import UserInfo
from tornado.web import HTTPError

from jupyterhub import orm
from slipway_hub import invitations
from slipway_hub.invitations import INVITATION_SECONDS, RESET_SECONDS, Link
from slipway_hub.sessions import end_browser_sessions, end_everything, end_tokens_made_by_hand

INVALID_NAME = (
    "A user name starts with a letter or a digit and has only small letters, digits and . _ - @ +, "
    "at most 64."
)


class Refused(HTTPError):
    """409: what stands against it, and what can be done instead."""

    def __init__(self, sentence: str) -> None:
        super().__init__(409, sentence)


class People:
    """Where accounts are the hub's own. `handler` is the hub's, of the request that asks for it."""

    def __init__(self, handler: Any) -> None:
        self.handler, self.authenticator, self.db = handler, handler.authenticator, handler.db

    def all(self) -> list[dict[str, Any]]:
        known = {user.name: user for user in self.db.query(orm.User)}
        return [
            about(one.username, state, known.get(one.username))
            for one, state in self.authenticator.accounts()
        ]

    def invite(self, name: str, admin: bool) -> Link:
        """An account without a password, and the link to choose one."""
        if not self.authenticator.validate_username(name):
            raise HTTPError(400, INVALID_NAME)
        if self.authenticator.user_exists(name):
            state = self.authenticator.state_of(self.account(name))
            instead = {"waits": "approve it", "suspended": "approve it again"}
            remedy = instead.get(state, "reset it for a new link")
            raise Refused(f"There is an account {name} already ({state}): {remedy}.")
        self.authenticator.invite(name)
        # Also where the hub knows the name from before, as an administrator perhaps.
        if admin or self.handler.find_user(name):
            self._set_admin(name, admin)
        return self._link(name, INVITATION_SECONDS)

    def reset(self, name: str) -> Link:
        """Ends the password and what was opened with it, but not a notebook that runs."""
        account = self.account(name)
        state = self.authenticator.state_of(account)
        if state in ("waits", "suspended"):
            raise Refused(f"The account {name} may not log in ({state}); approve it first.")
        self.authenticator.forget_password(account)
        if user := self.handler.find_user(name):
            end_browser_sessions(self.db, user.orm_user)
            end_tokens_made_by_hand(self.db, user)
        return self._link(name, INVITATION_SECONDS if state == "invited" else RESET_SECONDS)

    def approve(self, name: str) -> None:
        self.authenticator.approve(self.account(name), True)

    async def suspend(self, name: str) -> None:
        account = self.account(name)
        if self.authenticator.state_of(account) == "waits":
            raise Refused(f"The account {name} waits for approval and can do nothing; remove it instead.")
        self._not_the_last_administrator(name)
        self.authenticator.approve(account, False)
        invitations.withdraw(self.db, name)
        if user := self.handler.find_user(name):
            await end_everything(self.handler, user)

    def set_admin(self, name: str, admin: bool) -> None:
        if self.authenticator.state_of(self.account(name)) in ("waits", "suspended"):
            raise Refused(f"The account {name} may not log in; approve it first.")
        if not admin:
            self._not_the_first_administrator(name)
            self._not_the_last_administrator(name)
        self._set_admin(name, admin)

    async def remove(self, name: str) -> str | None:
        """The account and all that the hub knows of the person. Gives where their files are, which stay."""
        self.account(name)
        self._not_the_first_administrator(name)
        self._not_the_last_administrator(name)
        invitations.withdraw(self.db, name)
        files = await forget(self.handler, name)
        if account := self.authenticator.get_user(name):
            self.authenticator.discard(account)
        return files

    def account(self, name: str) -> UserInfo:
        account = self.authenticator.get_user(name)
        if account is None:
            raise HTTPError(404, f"There is no account {name}.")
        return account

    def _link(self, name: str, seconds: int) -> Link:
        base = urljoin(self.handler.public_url.geturl(), self.handler.hub.base_url)
        return invitations.make(self.db, name, base, seconds, time.time())

    def _set_admin(self, name: str, admin: bool) -> None:
        user = self.handler.user_from_username(name)
        user.admin = admin
        assign_default_roles(self.db, entity=user)
        self.db.commit()

    def _not_the_first_administrator(self, name: str) -> None:
        if name == self.authenticator.admin_user:
            raise Refused(
                f"{name} is the administrator that ADMIN_USER names, who is made anew at each start; "
                "name somebody else there first."
            )

    def _not_the_last_administrator(self, name: str) -> None:
        administrators = {user.name for user in self.db.query(orm.User).filter(orm.User.admin.is_(True))}
        can_log_in = {one.username for one, state in self.authenticator.accounts() if state == "approved"}
        if name in administrators and not (administrators & can_log_in) - {name}:
            raise Refused(f"{name} is the last administrator who can log in; make somebody else one first.")


class PeopleOfProvider:
    """Where people log in at the company's provider: the hub only knows who has been here."""

    def __init__(self, handler: Any) -> None:
        self.handler, self.db = handler, handler.db

    def all(self) -> list[dict[str, Any]]:
        users = self.db.query(orm.User).order_by(orm.User.name)
        return [about(user.name, "of the provider", user) for user in users]

    async def remove(self, name: str) -> str | None:
        if self.handler.find_user(name) is None:
            raise HTTPError(404, f"The hub knows no {name}.")
        return await forget(self.handler, name)

    def invite(self, name: str, admin: bool) -> Link:
        raise elsewhere("Whom it knows can log in, or the members of OIDC_ALLOWED_GROUPS.")

    def reset(self, name: str) -> Link:
        raise elsewhere("Passwords are kept there, and changed there.")

    def approve(self, name: str) -> None:
        raise elsewhere("Whom it knows can log in, or the members of OIDC_ALLOWED_GROUPS.")

    async def suspend(self, name: str) -> None:
        raise elsewhere("Close the account there; `remove` then ends what is open here.")

    def set_admin(self, name: str, admin: bool) -> None:
        raise elsewhere("OIDC_ADMIN_USERS and OIDC_ADMIN_GROUPS say who is an administrator.")


def people(handler: Any) -> People | PeopleOfProvider:
    has_accounts = hasattr(handler.authenticator, "accounts")
    return People(handler) if has_accounts else PeopleOfProvider(handler)


def elsewhere(sentence: str) -> Refused:
    return Refused(f"People log in at your OpenID Connect provider. {sentence}")


def about(name: str, state: str, user: orm.User | None) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "admin": bool(user and user.admin),
        "groups": sorted(group.name for group in user.groups) if user else [],
        "last_activity": f"{user.last_activity.isoformat()}Z" if user and user.last_activity else None,
    }


async def forget(handler: Any, name: str) -> str | None:
    """The hub's user with sessions, tokens and server. Gives where the files are, if there may be any."""
    user = handler.find_user(name)
    if user is None:
        return None
    if any(spawner.pending for spawner in user.spawners.values()):
        raise Refused(f"The server of {name} is starting or stopping just now; try again in a minute.")
    files = home_of(user.spawner) if user.orm_user.orm_spawners else None
    await end_everything(handler, user)
    await maybe_future(handler.authenticator.delete_user(user))
    await user.delete_spawners()
    handler.users.delete(user)
    return files


def home_of(spawner: Any) -> str:
    """A volume's name, or a folder."""
    mounts = getattr(spawner, "mount_binds", None)
    return mounts[0]["Source"] if mounts else spawner.home_dir
