"""Whether the stack may be written to, what comes in under which names, and whether both sides agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from infra.launcher import compose
from infra.launcher.problem import PRECONDITION, Problem
from infra.migrate import people, rights, stores, tracking, visitors
from infra.migrate.homes import Home, volume_of
from infra.migrate.names import Names
from infra.migrate.source import Source
from infra.migrate.stores import Looked


class Stack(NamedTuple):
    """The Compose stack as it was found."""

    project: str
    notebook_image: str
    tracking: Looked
    hub: Looked
    visitors: Looked
    rights: Looked


def look(project: str) -> Stack:
    image = next(one.image for one in compose.plan(project).services if one.name == "notebook")
    return Stack(
        project,
        image,
        tracking=stores.look(project, tracking.SERVICE, tracking.WANTED),
        hub=stores.look(project, people.SERVICE, people.WANTED),
        visitors=stores.look(project, visitors.SERVICE, {}),
        rights=stores.look(project, rights.SERVICE, rights.WANTED, rights.DATABASE),
    )


def names_for(
    source: Source, stack: Stack, instance: str, first_administrator: str, merge: str | None
) -> Names:
    """What an earlier run brought keeps the names it came under; the rest is decided now. A Problem where
    there is other work and nobody has said how to merge."""
    hub, tracked = stack.hub.marks.get(instance), stack.tracking.marks.get(instance)
    for mark in (hub, tracked):
        if mark:
            require_unchanged(source, mark)
    of_hub = [] if hub else people.other_work(stack.hub, first_administrator)
    of_tracking = [] if tracked else tracking.other_work(stack.tracking)
    files = [] if hub else taken_homes(source, stack, instance)
    if (of_hub or of_tracking or files) and merge is None:
        raise Problem(
            "The stack holds other work: " + "; ".join([*of_tracking, *of_hub, *files]) + ". "
            "Nothing was written into it.",
            "Run it with `--merge rename`, which brings yours in beside that, under other names where one is "
            "taken; or `./slipway up --embedded` to go on as before.",
            PRECONDITION,
        )
    names = tracking.names_for(source, stack.tracking) if of_tracking else Names()
    if tracked:
        names = Names(**tracked["names"])
    users = people.names_for(source, stack.hub).users if of_hub else {}
    return names._replace(users=hub["names"]["users"] if hub else users)


def taken_homes(source: Source, stack: Stack, instance: str) -> list[str]:
    """Homes of the stack that have files which this instance has not brought, in words."""
    users = []
    for user, home in homes_of(source, stack, Names()):
        if home.exists():
            there = home.look(instance)
            if there["has_files"] and there["brought"] is None and there["state"] != "settling":
                users.append(user)
    return [f"files in the homes of {', '.join(users)}"] if users else []


def homes_of(source: Source, stack: Stack, names: Names) -> Iterator[tuple[str, Home]]:
    """Each user who has a home here, with the volume that it belongs into. A home without an account is left:
    it would become the next person's who takes that name."""
    for user in people.known(source):
        if (source.instance.homes / user).is_dir():
            volume = volume_of(stack.project, names.users.get(user, user))
            yield user, Home(stack.project, stack.notebook_image, volume)


def fingerprint(source: Source) -> dict[str, Any]:
    """By which a later run sees that embedded has been worked with since."""
    tables = [name for name in source.columns("tracking") if name not in tracking.AT_WORK]
    counts = {name: source.count("tracking", name) for name in tables if name != "alembic_version"}
    return {"tracking": counts, "people": people.counts(source), "visitors": visitors.total(source)}


def require_unchanged(source: Source, mark: dict[str, Any]) -> None:
    now, then = fingerprint(source), mark["source"]
    more = [
        f"{name}: {then['tracking'].get(name, 0)} then, {count} now"
        for name, count in now["tracking"].items()
        if count != then["tracking"].get(name, 0) and count
    ]
    if now != then:
        raise Problem(
            f"This platform was taken into the stack at {mark['at']}, and has been worked with since"
            + (f" ({'; '.join(more[:4])})." if more else "."),
            "What was added since then is not in the stack: log it there again. Nothing was changed now.",
            PRECONDITION,
        )


def differences(stack: Stack, counts: dict[str, dict[str, int]]) -> list[str]:
    """Tables of the stack that hold fewer rows than were brought."""
    wrong = []
    parts = {"hub": stack.hub, "tracking": stack.tracking, "visitors": stack.visitors, "rights": stack.rights}
    for name, there in parts.items():
        for table, count in counts[name].items():
            if there.tables[table].count < count:
                wrong.append(f"{name}: {table} has {there.tables[table].count} rows; {count} were brought")
    return wrong
