"""What the hub tells browsers: how long and for whom cookies are, and what its pages may load."""

from __future__ import annotations

from typing import Any

from slipway_hub.settings import Settings

# JupyterHub's pages have scripts and styles in themselves. Nothing comes from elsewhere, no page of the hub
# is shown inside another, and no form leads to another site.
PAGES = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


def configure(c: Any, settings: Settings) -> None:
    """JupyterHub makes cookies HttpOnly by itself, but not the one against forgery; pages carry its value."""
    cookies: dict[str, Any] = {"samesite": "Lax"}
    if settings.public_url.startswith("https://"):
        cookies["secure"] = True
    c.JupyterHub.tornado_settings = {
        "cookie_options": cookies,
        "xsrf_cookie_kwargs": {**cookies, "httponly": True},
        "headers": {"Content-Security-Policy": PAGES},
    }
    # A cookie ends within a week, and a token that somebody made for a program within 90 days.
    c.JupyterHub.cookie_max_age_days = 7
    c.JupyterHub.token_expires_in_max_seconds = 90 * 24 * 3600
