"""The rules of the door that need nobody's answer: pure functions of a request's headers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})

PAGES_THAT_WRITE = ("/mlflow", "/serving", "/auth", "/pipelines")
"""Whose pages send requests that change something; the front page, exactly `/`, is one too."""


def may_change_state_by_cookie(headers: Mapping[str, str], public_origin: str) -> bool:
    """Whether a request that a browser signed with a cookie may change something.

    A browser sends its cookies whoever wrote the page, so the page must be one of ours: same-origin by
    `Sec-Fetch-Site`, or by `Origin` and `Referer` where browsers leave that out (plain HTTP). Pages under
    /user/ share the origin but show what users wrote, and /hub/ has no business here, so the page itself
    must be named, by a `Referer`; a request that hides where it comes from changes nothing. A notebook has
    a token to speak with. `headers` has lower-case names.

    It stops other sites, and what happens unawares. It is no wall against a hostile script under /user/: a
    script may name any page of its own origin as its Referer. Only an origin of its own would be one.
    """
    page = headers.get("referer", "")
    if not _is_a_page_that_writes(urlsplit(page).path):
        return False
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    return _origin_of(page) == public_origin and headers.get("origin", public_origin) == public_origin


def _is_a_page_that_writes(path: str) -> bool:
    return path == "/" or any(path == one or path.startswith(f"{one}/") for one in PAGES_THAT_WRITE)


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def local_path(url: str, otherwise: str = "/") -> str:
    """`url` if it is a path on this site, else `otherwise`: a login never ends on a stranger's page.

    Browsers read `//host`, `/\\host` and a path with a tab or a newline in it as another site.
    """
    stays_here = url.startswith("/") and not url.startswith("//") and "\\" not in url
    return url if stays_here and url.isprintable() and " " not in url else otherwise


def wants_a_page(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a person is waiting for a page (send them to log in) or a program for data (say 401)."""
    if method not in {"GET", "HEAD"}:
        return False
    if mode := headers.get("sec-fetch-mode"):
        return mode == "navigate"
    return "text/html" in headers.get("accept", "")


def bearer_token(authorization: str) -> str | None:
    """The token of `Authorization: Bearer …` (or the hub's own word, `token …`)."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() or None if scheme.lower() in {"bearer", "token"} else None


def groups_header(groups: Iterable[str]) -> str:
    """The groups as `a,b`. A name that a header cannot carry (a comma, other than ASCII) is left out: a
    group that is not named can only give less."""
    return ",".join(name for name in groups if name.isascii() and name.isprintable() and "," not in name)
