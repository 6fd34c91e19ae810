"""How often somebody may sign up or try a password, so that neither is done by the thousand.

Counted in the hub's memory: there is one hub, and nobody outside can restart it.
"""

from __future__ import annotations

import math
import secrets
import time
from ipaddress import ip_address, ip_network
from typing import Any

from limits import RateLimitItemPerHour, RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

# Wrong passwords. Ten for one person are a bad day, and a hundred from one address a whole office's.
OF_ACCOUNT_FROM_ADDRESS = RateLimitItemPerMinute(10, 10, "account-and-address")
FROM_ADDRESS = RateLimitItemPerMinute(100, 10, "address")
OF_ACCOUNT = RateLimitItemPerHour(100, 1, "account")
OF_KNOWN_BROWSER = RateLimitItemPerMinute(10, 10, "known-browser")

# All sign-ups together, as a multiple of what one address may.
ADDRESSES = 10

KNOWN_BROWSER = "slipway-known-browser"
KNOWN_BROWSER_DAYS = 90

Claim = tuple
"""A limit and whose it is."""


class TooMany(HTTPError):
    """429: what the person reads, and when to come back."""

    def __init__(self, what: str, seconds: float) -> None:
        self.seconds = max(1, math.ceil(seconds))
        super().__init__(429, f"{what} Try again in {in_words(self.seconds)}.")
        # The hub sends what it finds here.
        self.headers = {"Retry-After": str(self.seconds)}


class Tries:
    """All counters of one hub."""

    def __init__(self, signups_per_hour: int) -> None:
        self._counts = MemoryStorage()
        self._limiter = FixedWindowRateLimiter(self._counts)
        self._sign_ups_from_address = RateLimitItemPerHour(signups_per_hour, 1, "sign-ups-from-address")
        self._sign_ups = RateLimitItemPerHour(signups_per_hour * ADDRESSES, 1, "sign-ups")

    def sign_up(self, request: HTTPServerRequest) -> None:
        """Counts one; raises TooMany."""
        self._take(
            [(self._sign_ups_from_address, address_of(request)), (self._sign_ups, "all")],
            "Too many sign-ups in the last hour.",
        )

    def log_in(self, handler: Any, username: str) -> list[Claim]:
        """Counts one wrong password before it is looked at, so that many at once count as well; raises
        TooMany. Gives what `was_right` takes back.

        A browser in which this person has logged in before has a count of its own: a stranger who guesses,
        from wherever, does not lock them out.
        """
        if browser := known_browser(handler, username):
            claims: list[Claim] = [(OF_KNOWN_BROWSER, browser)]
        else:
            address = address_of(handler.request)
            claims = [
                (OF_ACCOUNT_FROM_ADDRESS, username, address),
                (FROM_ADDRESS, address),
                (OF_ACCOUNT, username),
            ]
        self._take(claims, "Too many wrong passwords.")
        return claims

    def was_right(self, claims: list[Claim]) -> None:
        for item, *whose in claims:
            self._counts.decr(item.key_for(*whose))

    def _take(self, claims: list[Claim], what: str) -> None:
        for item, *whose in claims:
            if not self._limiter.hit(item, *whose):
                reset = self._limiter.get_window_stats(item, *whose).reset_time
                raise TooMany(what, reset - time.time())


def address_of(request: HTTPServerRequest) -> str:
    """Where a request comes from, as the gateway says.

    X-Forwarded-For ends with two entries that can be believed: the visitor's address, which the gateway
    writes, and the gateway's, which the hub's proxy adds. What stands before them the visitor may have made
    up. One network of IPv6 is one visitor, who has all of its addresses.
    """
    entries = [one.strip() for one in request.headers.get("X-Forwarded-For", "").split(",")]
    text = entries[-2] if len(entries) > 1 else entries[0] or request.remote_ip or ""
    try:
        address = ip_address(text)
    except ValueError:
        return "unknown"
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def known_browser(handler: Any, username: str) -> str | None:
    """The mark of a browser in which this person has logged in, if it has one."""
    mark = handler.get_secure_cookie(KNOWN_BROWSER, max_age_days=KNOWN_BROWSER_DAYS)
    known = mark.decode() if mark else ""
    return known if known.partition(" ")[0] == username else None


def mark_as_known(handler: Any, username: str) -> None:
    """At each login anew: who has copied an older mark does not share the count."""
    handler._set_cookie(
        KNOWN_BROWSER,
        f"{username} {secrets.token_urlsafe(16)}",
        path=handler.hub.base_url,
        expires_days=KNOWN_BROWSER_DAYS,
    )


def in_words(seconds: int) -> str:
    minutes = math.ceil(seconds / 60)
    return "a minute" if minutes <= 1 else f"{minutes} minutes"
