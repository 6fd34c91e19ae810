"""/hub/one-time-login: a link that logs one browser in, once. What starts the platform makes such links.

A link is a file in LOGIN_LINKS_DIR, named after the SHA-256 of its token: whoever reads the folder learns
no token, and to use a link is to remove its file, which only one can do.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from jupyterhub.handlers import BaseHandler

from jupyterhub import orm

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""32 random bytes in URL-safe letters."""


class NotUsable(Exception):
    """The link logs nobody in; the message tells the person why."""


def handlers(folder: Path) -> list[tuple[str, type, dict[str, Path]]]:
    return [(r"/one-time-login", OneTimeLogin, {"folder": folder})]


def use(folder: Path, token: str, now: float) -> str:
    """Uses the link up and returns whose it was; raises NotUsable."""
    if not TOKEN.fullmatch(token):
        raise NotUsable("This link is not whole.")
    path = folder / f"{hashlib.sha256(token.encode()).hexdigest()}.json"
    try:
        link = json.loads(path.read_text(encoding="utf-8"))
        user, expires = str(link["user"]), float(link["expires"])
        path.unlink()
    except FileNotFoundError:
        raise NotUsable("This link has been used, or another has taken its place.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise NotUsable("What this link stands for cannot be read.") from None
    if now >= expires:
        raise NotUsable("This link is too old.")
    return user


def is_a_visit(headers: Mapping[str, str]) -> bool:
    """Whether a person opens the page. Browsers say so when they only fetch it in advance, or for a frame."""
    fetched_in_advance = any(
        "prefetch" in headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Moz")
    )
    return (
        not fetched_in_advance
        and headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        and headers.get("Sec-Fetch-Dest", "document") == "document"
    )


def local_path(wanted: str) -> str:
    """`wanted` if it is a path of this site, else the front page.

    Browsers read `//host`, `/\\host` and a path with a tab or a newline in it as another site.
    """
    stays_here = wanted.startswith("/") and not wanted.startswith("//") and "\\" not in wanted
    return wanted if stays_here and wanted.isprintable() and " " not in wanted else "/"


class OneTimeLogin(BaseHandler):
    """GET alone: a HEAD, as link previews send it, is answered 405 and uses nothing up."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        # The address has the token in it.
        self.set_header("Referrer-Policy", "no-referrer")

    async def get(self) -> None:
        try:
            if not is_a_visit(self.request.headers):
                raise NotUsable("This link is for a browser's address bar; it has not been used up.")
            name = use(self.folder, self.get_query_argument("token", ""), time.time())
            if not self.authenticator.may_log_in(name):
                raise NotUsable(f"The account {name} may not log in.")
        except NotUsable as problem:
            self.log.warning("one-time login refused: %s", problem)
            self.set_status(403)
            self.finish(await self.render_template("one-time-login.html", problem=str(problem)))
            return
        await self.log_in(name)
        # By way of the door, so that the front page, too, knows who came.
        self.redirect(local_path(self.get_query_argument("next", "/auth/login")))

    async def log_in(self, name: str) -> None:
        """As the login page does it, once the password is found right."""
        authenticated = {"name": name, "admin": self.authenticator.is_admin(self, {"name": name})}
        user = await self.auth_to_user(authenticated)
        present = self.get_current_user_cookie()
        if present is None or present.id != user.id:
            self.end_session_of_another(user)
        self.set_login_cookie(user)
        user._auth_refreshed = time.monotonic()
        self.log.info("User logged in by a one-time link: %s", name)

    def end_session_of_another(self, user: orm.User) -> None:
        """Without it the door-keeper would go on to take this browser for who was logged in before."""
        if session := self.get_session_cookie():
            tokens = self.db.query(orm.APIToken).filter_by(session_id=session)
            for token in tokens.filter(orm.APIToken.user_id != user.id):
                self.db.delete(token)
            self.db.commit()
        self.set_session_cookie()
