"""People whom the provider knows, as the operator's command sees them: who has been here, and no more."""

from __future__ import annotations

import json

import pytest

from tests.integration.hub.test_provider import (  # noqa: F401 (fixtures)
    ADA,
    come_in,
    company,
    context,
    page,
    started_browser,
)

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("action", ["invite", "approve", "reset", "suspend", "admin"])
def test_what_is_the_providers_is_said_to_be(company, action):  # noqa: F811
    done = company.platform.run("slipway_hub.users", action, "ada")
    assert done.returncode == 1
    assert "People log in at your OpenID Connect provider." in done.stderr


def test_who_has_been_here_is_listed_and_can_be_removed(company, page):  # noqa: F811
    come_in(page, ADA)
    listed = json.loads(company.platform.run("slipway_hub.users", "list", "--json").stdout)
    assert {"ada"} <= {one["name"] for one in listed}
    assert company.platform.run("slipway_hub.users", "remove", "ada").returncode == 0
    assert page.goto("/auth/whoami").status == 401
    assert "knows no ada" in company.platform.run("slipway_hub.users", "remove", "ada").stderr


def test_a_cookie_that_was_copied_ends_with_the_logout(company, context, page):  # noqa: F811
    come_in(page, ADA)
    copied = context.cookies(company.url)
    page.goto("/auth/logout")
    context.add_cookies(copied)
    assert context.request.get("/hub/home", max_redirects=0).status == 302
