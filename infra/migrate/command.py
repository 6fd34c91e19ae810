"""`./slipway migrate --to docker`, from the first question to the report.

Artifacts and homes go first, database rows last, and each database in one transaction with a mark of its
own: an interruption at any point leaves nothing half done, and the next run goes on from what is marked.
"""

from __future__ import annotations

import argparse
import shutil
import time
from typing import NamedTuple

from infra.embedded import environment
from infra.embedded.down import stop_all
from infra.embedded.instance import Instance, instance_of
from infra.launcher import engine, settings, up
from infra.launcher.lock import only_one
from infra.launcher.problem import FAILED, PRECONDITION, Problem
from infra.launcher.progress import Screen, seconds, size
from infra.migrate import (
    artifacts,
    homes,
    merging,
    people,
    predictions,
    report,
    rights,
    source,
    stores,
    tracking,
    visitors,
)
from infra.migrate.merging import Stack
from infra.migrate.names import Names, told
from infra.migrate.progressing import progress
from infra.migrate.source import Source


class Plan(NamedTuple):
    """What is to be brought, under which names."""

    source: Source
    instance: str
    """The mark of this embedded platform."""
    names: Names
    first_administrator: str


def run(options: argparse.Namespace, screen: Screen) -> int:
    chosen = settings.load()
    instance = instance_of(chosen.project)
    if not (instance.data / source.DATABASES["tracking"]).exists():
        raise Problem(
            f"There is no embedded platform of the name {chosen.project} ({instance.folder}).",
            "`./slipway up --embedded` starts one; SLIPWAY_HOME and COMPOSE_PROJECT_NAME say which is meant.",
            PRECONDITION,
        )
    engine.look()
    began = time.monotonic()
    # Apart from the project's own lock, which `up` takes in between.
    with only_one(f"{chosen.project}.migrate", "migrate"):
        environment.ensure(screen)
        with only_one(chosen.project, "migrate"):
            taken = stop_and_copy(instance, screen)
        try:
            done = bring(taken, chosen, options, screen)
        finally:
            shutil.rmtree(taken.folder)
    if done.wrong:
        return FAILED
    took = seconds(time.monotonic() - began)
    screen.good(f"All agrees on both sides ({took}). From now on the stack is the platform.")
    return 0


def bring(
    taken: Source, chosen: settings.Settings, options: argparse.Namespace, screen: Screen
) -> report.Done:
    """Starts the stack, brings everything into it and compares."""
    answers = predictions.expected(taken, progress(screen, "asking the models"))
    up.run(up.Options(yes=options.yes), screen)
    with only_one(chosen.project, "migrate"):
        plan, stack = decide(taken, chosen, options.merge, screen)
        files = bring_files(plan, stack, screen)
        counts = bring_rows(plan, stack, screen)
        waiting = progress(screen, "asking the stack's model server")
        unequal = predictions.compare(stack.project, plan.names, answers, waiting)
        missing = merging.differences(merging.look(chosen.project), counts)
        done = report.Done(taken, plan.names, files, counts, answers, unequal, missing)
        report.show(done, plan.first_administrator, screen)
        if not done.wrong:
            report.note(done)
    return done


def stop_and_copy(instance: Instance, screen: Screen) -> Source:
    if stop_all(instance):
        screen.good(
            "The embedded platform is stopped; `./slipway up --embedded` would bring it back as it was."
        )
    return source.take(instance)


def decide(taken: Source, chosen: settings.Settings, merge: str | None, screen: Screen) -> tuple[Plan, Stack]:
    """Looks into the stack and changes nothing there; a Problem if it holds other work."""
    stack = merging.look(chosen.project)
    if not (tracking.is_current(taken, stack.tracking) and source.has_permissions(taken)):
        screen.say("Bringing the copies of MLflow's databases up to date")
        source.bring_up_to_date(taken)
    instance = source.identity(taken.instance)
    names = merging.names_for(taken, stack, instance, chosen.admin_user, merge)
    for line in told(names):
        screen.say(f"  Taken already: {line}")
    return Plan(taken, instance, names, chosen.admin_user), stack


def bring_files(plan: Plan, stack: Stack, screen: Screen) -> report.Files:
    """Artifacts and homes. They go first: rows without their files would be of no use."""
    wanted = artifacts.digests(plan.source, progress(screen, "reading artifacts"))
    total = size(artifacts.bytes_of(plan.source, wanted))
    sent = artifacts.bring(stack.project, plan.source, wanted, progress(screen, "artifacts"))
    screen.good(
        f"{len(wanted):,} artifacts ({total}) are in the stack, digests equal; {sent:,} were sent now"
    )
    placed = {}
    for user, home in merging.homes_of(plan.source, stack, plan.names):
        folder = plan.source.instance.homes / user
        placed[user] = homes.bring(home, folder, plan.instance, progress(screen, "notebooks"))
    if placed:
        screen.good(f"The homes of {', '.join(placed)} are in the stack, digests equal")
    return report.Files(len(wanted), placed)


def bring_rows(plan: Plan, stack: Stack, screen: Screen) -> dict[str, dict[str, int]]:
    """Rows by table, written and equal, of each database; those marked are done already."""
    parts = {
        "hub": (stack.hub, (people.SERVICE,), people.sections(plan.source, stack.hub, plan.names)),
        "tracking": (
            stack.tracking,
            (tracking.SERVICE,),
            tracking.sections(plan.source, stack.tracking, plan.names),
        ),
        # After what they are for, whose mark keeps the names and numbers that it came under.
        "rights": (
            stack.rights,
            (rights.SERVICE, rights.DATABASE),
            rights.sections(plan.source, stack.rights, plan.names),
        ),
        "visitors": (stack.visitors, (visitors.SERVICE,), visitors.sections(plan.source, plan.names)),
    }
    note = {"names": plan.names._asdict(), "source": merging.fingerprint(plan.source)}
    counts = {}
    for name, (there, (service, *database), sections) in parts.items():
        mark = there.marks.get(plan.instance)
        counts[name] = (
            mark["counts"]
            if mark
            else stores.write(
                stack.project,
                service,
                sections,
                plan.instance,
                note,
                progress(screen, f"{name} database"),
                *database,
            )
        )
        words = f"brought at {mark['at']}" if mark else "all written and compared"
        screen.good(f"{name} database: {sum(counts[name].values()):,} rows, {words}")
    return counts
