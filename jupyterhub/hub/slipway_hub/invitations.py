"""/hub/choose-password: the page of a one-time link on which a person who was invited, or whose password was
reset, chooses a password.

Opening the page uses nothing up, since mail programs and chats open links before people do; choosing does. A
link is a row in the hub's database, under the SHA-256 of its token.
"""

from __future__ import annotations

import time
from typing import NamedTuple
from urllib.parse import urlencode

from sqlalchemy import Column, Float, String, delete
from sqlalchemy.orm import Session

from jupyterhub import orm
from slipway_hub import passwords
from slipway_hub.one_time_links import LinkPage, NotUsable, digest, new_token
from slipway_hub.sessions import begin, end_browser_sessions

INVITATION_SECONDS = 7 * 24 * 3600
RESET_SECONDS = 24 * 3600

PATH = "choose-password"


class PasswordLink(orm.Base):
    """JupyterHub makes the tables of its Base at start."""

    __tablename__ = "slipway_password_links"

    digest = Column(String(64), primary_key=True)
    username = Column(String(128), nullable=False, index=True)
    expires = Column(Float, nullable=False)


class Link(NamedTuple):
    url: str
    expires: float

    @property
    def until(self) -> str:
        return time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(self.expires))


def handlers() -> list[tuple[str, type]]:
    return [(rf"/{PATH}", ChoosePassword)]


def make(db: Session, username: str, base: str, seconds: int, now: float) -> Link:
    """A link in place of those that this person may have had; `base` is the hub's address."""
    withdraw(db, username)
    token = new_token()
    db.add(PasswordLink(digest=digest(token), username=username, expires=now + seconds))
    db.commit()
    return Link(f"{base}{PATH}?{urlencode({'token': token})}", now + seconds)


def find(db: Session, token: str, now: float) -> str:
    """Whose the link is; raises NotUsable."""
    link = db.get(PasswordLink, digest(token))
    if link is None:
        raise NotUsable("This link has been used, or another has taken its place.")
    if now >= link.expires:
        raise NotUsable("This link is too old.")
    return link.username


def use(db: Session, token: str, now: float) -> str:
    """Whose the link is, once: of two who ask at the same time one gets NotUsable."""
    username = find(db, token, now)
    if db.execute(delete(PasswordLink).where(PasswordLink.digest == digest(token))).rowcount != 1:
        raise NotUsable("This link has been used.")
    db.commit()
    return username


def withdraw(db: Session, username: str) -> None:
    db.execute(delete(PasswordLink).where(PasswordLink.username == username))
    db.commit()


class ChoosePassword(LinkPage):
    async def get(self) -> None:
        token = self.get_query_argument("token", "")
        try:
            name = find(self.db, token, time.time())
        except NotUsable as problem:
            await self.refuse("link-not-usable.html", problem)
            return
        await self.show(name, token)

    async def post(self) -> None:
        token, now = self.get_body_argument("token", ""), time.time()
        try:
            name = find(self.db, token, now)
            if not self.authenticator.may_log_in(name):
                raise NotUsable(f"The account {name} may not log in.")
            new = self.get_body_argument("new_password", "", strip=False)
            again = self.get_body_argument("new_password_confirmation", "", strip=False)
            if problem := passwords.complaint(name, new, again):
                self.set_status(400)
                await self.show(name, token, problem)
                return
            use(self.db, token, now)
        except NotUsable as problem:
            await self.refuse("link-not-usable.html", problem)
            return
        await self.authenticator.set_password(self.authenticator.get_user(name), new)
        if user := self.find_user(name):
            end_browser_sessions(self.db, user.orm_user)
        await begin(self, name)
        self.log.info("%s chose a password by a one-time link", name)
        # By way of the door, so that the front page, too, knows who came.
        self.redirect("/auth/login")

    async def show(self, name: str, token: str, problem: str = "") -> None:
        page = await self.render_template("choose-password.html", person=name, token=token, problem=problem)
        self.finish(page)
