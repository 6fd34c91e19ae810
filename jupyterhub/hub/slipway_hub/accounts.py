"""Accounts of the hub's own: people sign up, an administrator approves, the first administrator is made.

The table and its look-ups are NativeAuthenticator's. The pages are ours (account_pages.py), because its own
change things on plain GET, which any other site can make an administrator's browser send.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from sqlalchemy import select
from sqlalchemy.orm import Session
from tornado.web import HTTPError
from traitlets import Instance, Integer, Unicode

from jupyterhub import orm
from slipway_hub import account_pages, invitations, login_links, operator_api, passwords, ready
from slipway_hub.passwords import hash_of, hashed, is_hash_of, matches
from slipway_hub.sessions import Logout
from slipway_hub.settings import Settings
from slipway_hub.tries import Tries, mark_as_known

# No refusal comes sooner, whichever algorithm a password is kept with and whether or not there is an account.
REFUSAL_SECONDS = 0.5


def configure(c: Any, settings: Settings) -> None:
    c.JupyterHub.authenticator_class = SlipwayAuthenticator
    authenticator = c.SlipwayAuthenticator
    authenticator.admin_user = settings.admin_user
    authenticator.one_time_password = settings.hub_admin_password.get_secret_value()
    authenticator.admin_users = {settings.admin_user}
    # Who may log in is who has been approved, which `authenticate` asks.
    authenticator.allow_all = True
    authenticator.signups_per_hour = settings.signups_per_hour
    authenticator.login_links_dir = settings.login_links_dir
    # Who logs in by links has never seen the one-time password and is not asked to change it.
    asks_for_a_password = settings.login_links_dir is None
    if asks_for_a_password:
        c.JupyterHub.default_url = where_to_go
    c.JupyterHub.template_vars = {
        "has_accounts": True,
        "one_time_password": lambda user: (
            asks_for_a_password and user is not None and user.authenticator.has_one_time_password(user)
        ),
        "how_many_wait": lambda user: user.authenticator.how_many_wait() if user and user.admin else 0,
    }


def where_to_go(handler: Any) -> str:
    """After a login that leads nowhere in particular: choose a password first; else the hub's own answer."""
    if handler.authenticator.has_one_time_password(handler.current_user):
        return f"{handler.hub.base_url}change-password"
    return ""


class SlipwayAuthenticator(NativeAuthenticator):
    admin_user = Unicode("admin", config=True, help="The first administrator's name.")
    one_time_password = Unicode(config=True, help="The first administrator's password until it is changed.")
    signups_per_hour = Integer(20, config=True, help="How many may sign up from one address.")
    login_links_dir = Instance(Path, allow_none=True, config=True, help="Where one-time login links are.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._one_time_hash = ensure_first_admin(self.db, self.admin_user, self.one_time_password)
        self.tries = Tries(self.signups_per_hour)

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        began = time.monotonic()
        username = self.normalize_username(data.get("username", ""))
        if not self.validate_username(username):
            username = ""
        claims = self.tries.log_in(handler, username)
        account = self.get_user(username)
        typed = data.get("password", "")
        if not await matches(typed, account and account.password):
            await asyncio.sleep(REFUSAL_SECONDS - (time.monotonic() - began))
            return None
        self.tries.was_right(claims)
        if passwords.is_outdated(account.password):
            await self.keep_anew(account, typed)
        if not account.is_authorized:
            raise HTTPError(403, "Your account is waiting for an administrator's approval.")
        mark_as_known(handler, username)
        return username

    async def keep_anew(self, account: UserInfo, password: str) -> None:
        """The same password, by today's algorithm: now is the one moment at which it is known."""
        is_one_time = account.password == self._one_time_hash
        await self.set_password(account, password)
        if is_one_time:
            self._one_time_hash = account.password

    async def refresh_user(self, user: Any, handler: Any = None, **kwargs: Any) -> bool:
        """Whether a session may go on: the account is still there and approved."""
        return self.may_log_in(user.name)

    def may_log_in(self, username: str) -> bool:
        account = self.get_user(username)
        return account is not None and account.is_authorized

    def get_handlers(self, app: Any) -> list[tuple]:
        links = login_links.handlers(self.login_links_dir) if self.login_links_dir else []
        # Before JupyterHub's own of the same path.
        own = [(r"/logout", Logout), *account_pages.handlers(), *invitations.handlers(), *links]
        return [*own, *operator_api.handlers(), *ready.handlers()]

    async def sign_up(self, username: str, password: str) -> UserInfo:
        account = UserInfo(username=username, password=await hashed(password), is_authorized=False)
        self.db.add(account)
        self.db.commit()
        return account

    def invite(self, username: str) -> UserInfo:
        """An account that is approved and has no password yet."""
        account = UserInfo(username=username, password=passwords.NONE, is_authorized=True)
        self.db.add(account)
        self.db.commit()
        return account

    def forget_password(self, account: UserInfo) -> None:
        account.password = passwords.NONE
        self.db.commit()

    async def set_password(self, account: UserInfo, password: str) -> None:
        account.password = await hashed(password)
        self.db.commit()

    def approve(self, account: UserInfo, approved: bool) -> None:
        account.is_authorized = approved
        self.db.commit()

    def discard(self, account: UserInfo) -> None:
        self.db.delete(account)
        self.db.commit()

    def accounts(self) -> list[tuple[UserInfo, str]]:
        """Each with its state: those who wait first, then by name."""
        states = [(one, self.state_of(one)) for one in UserInfo.all_users(self.db)]
        return sorted(states, key=lambda pair: (pair[1] != "waits", pair[0].username))

    def state_of(self, account: UserInfo) -> str:
        """`waits`, `invited` (to choose a password), `approved` or `suspended`.

        Who is not approved but has been here before is suspended: there is a home with their work.
        """
        never_was_here = orm.User.find(self.db, account.username) is None
        if account.is_authorized:
            return "approved" if account.password else "invited"
        return "waits" if never_was_here and account.password else "suspended"

    def how_many_wait(self) -> int:
        waiting = self.db.query(UserInfo).filter(UserInfo.is_authorized.is_(False))
        return waiting.filter(
            UserInfo.password != passwords.NONE, UserInfo.username.not_in(select(orm.User.name))
        ).count()

    def name_is_taken(self, username: str) -> bool:
        """Taken, reserved, or the name of an administrator from before (of another way to log in)."""
        known = orm.User.find(self.db, username)
        return (
            username == self.admin_user
            or self.user_exists(username)
            or (known is not None and bool(known.admin))
        )

    def has_one_time_password(self, user: Any) -> bool:
        """Whether this user is the first administrator and has not yet chosen a password."""
        if user is None or user.name != self.admin_user or self._one_time_hash is None:
            return False
        account = self.get_user(user.name)
        return account is not None and account.password == self._one_time_hash


def ensure_first_admin(db: Session, name: str, one_time_password: str) -> bytes | None:
    """Makes the account if there is none of that name.

    Returns what is kept of the one-time password, or None if it has been changed.
    """
    account = UserInfo.find(db, name)
    if account is None:
        account = UserInfo(username=name, password=hash_of(one_time_password), is_authorized=True)
        db.add(account)
        db.commit()
    return account.password if is_hash_of(account.password, one_time_password) else None
