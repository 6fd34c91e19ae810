"""What every one-time link has in common: a token that only who was given it knows, and pages that keep it to
themselves. What a link does, and where it is kept, are login_links.py and invitations.py.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from jupyterhub.handlers import BaseHandler

TOKEN = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""32 random bytes in URL-safe letters."""


class NotUsable(Exception):
    """The link does nothing; the message tells the person why."""


def new_token() -> str:
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is kept of a token: who reads it learns no token. Raises NotUsable for what is none."""
    if not TOKEN.fullmatch(token):
        raise NotUsable("This link is not whole.")
    return hashlib.sha256(token.encode()).hexdigest()


class LinkPage(BaseHandler):
    """A page whose address has a token in it."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")

    async def refuse(self, template: str, problem: NotUsable) -> None:
        self.log.warning("one-time link refused: %s", problem)
        self.set_status(403)
        self.finish(await self.render_template(template, problem=str(problem)))
