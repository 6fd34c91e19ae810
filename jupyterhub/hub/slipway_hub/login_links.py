"""/hub/one-time-login: a link that logs one browser in, once. What starts the platform makes such links.

A link is a file in LOGIN_LINKS_DIR, named after the SHA-256 of its token; to use it is to remove the file,
which only one can do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from slipway_hub.one_time_links import LinkPage, NotUsable, digest
from slipway_hub.sessions import begin


def handlers(folder: Path) -> list[tuple[str, type, dict[str, Path]]]:
    return [(r"/one-time-login", OneTimeLogin, {"folder": folder})]


def use(folder: Path, token: str, now: float) -> str:
    """Uses the link up and returns whose it was; raises NotUsable."""
    path = folder / f"{digest(token)}.json"
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


class OneTimeLogin(LinkPage):
    """GET alone: a HEAD, as link previews send it, is answered 405 and uses nothing up."""

    def initialize(self, folder: Path) -> None:
        self.folder = folder

    async def get(self) -> None:
        try:
            if not is_a_visit(self.request.headers):
                raise NotUsable("This link is for a browser's address bar; it has not been used up.")
            name = use(self.folder, self.get_query_argument("token", ""), time.time())
            if not self.authenticator.may_log_in(name):
                raise NotUsable(f"The account {name} may not log in.")
        except NotUsable as problem:
            await self.refuse("one-time-login.html", problem)
            return
        await begin(self, name)
        self.log.info("%s logged in by a one-time link", name)
        # By way of the door, so that the front page, too, knows who came.
        self.redirect(local_path(self.get_query_argument("next", "/auth/login")))
