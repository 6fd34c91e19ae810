"""Tells Canaille's database who works in a company. Runs in the provider's own environment; reads JSON."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend


def main() -> None:
    told = json.load(sys.stdin)
    app = create_app(init_backend=True)
    with app.app_context(), app.backend.session():
        client(told["client"])
        people = {one["name"]: person(one) for one in told["people"]}
        memberships(told["people"], people)


def client(told: dict) -> None:
    found = Backend.instance.get(models.Client, client_id=told["client_id"])
    known = found or models.Client(client_id_issued_at=datetime.now(UTC))
    Backend.instance.update(
        known,
        **told,
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope=["openid", "profile", "email", "groups"],
        token_endpoint_auth_method="client_secret_post",
    )
    Backend.instance.save(known)
    # Whom its tokens are for.
    known.audience = [known]
    Backend.instance.save(known)


def person(told: dict) -> models.User:
    found = Backend.instance.get(models.User, user_name=told["name"])
    known = found or models.User(user_name=told["name"])
    Backend.instance.update(
        known,
        formatted_name=told["name"].title(),
        family_name=told["name"].title(),
        display_name=told["display_name"] or told["name"],
        emails=[told["email"]],
        password=told["password"],
    )
    Backend.instance.save(known)
    return known


def memberships(told: list[dict], people: dict[str, models.User]) -> None:
    """A group that nobody is left in is removed: it has at least one member by its own rules."""
    groups = {group.display_name: group for group in Backend.instance.query(models.Group)}
    for name in {name for one in told for name in one["groups"]} - set(groups):
        groups[name] = models.Group(display_name=name)
    for name, group in groups.items():
        others = [member for member in group.members if member.user_name not in people]
        group.members = others + [people[one["name"]] for one in told if name in one["groups"]]
        if group.members:
            Backend.instance.save(group)
        else:
            Backend.instance.delete(group)


main()
