"""`./slipway down` without Docker: stops the services, notebooks and kernels of one instance and nothing
else.
"""

from __future__ import annotations

import shutil

from infra.embedded import leftovers, supervisor
from infra.embedded.instance import Instance, instance_of
from infra.launcher import settings
from infra.launcher.down import confirm
from infra.launcher.lock import only_one
from infra.launcher.progress import Screen


def run(with_data: bool, yes: bool, screen: Screen) -> int:
    """Running again finds nothing to do."""
    instance = instance_of(settings.load().project)
    with only_one(instance.project, "down"):
        doomed = with_data and instance.exists()
        if doomed and not yes:
            confirm(instance.project, [str(instance.folder)], screen)
        was_running = stop_all(instance)
        if doomed:
            delete(instance)
            screen.good("Slipway is down, and its data is deleted.")
        elif was_running:
            screen.good("Slipway is down; its data is kept. `./slipway up` starts it again.")
        else:
            screen.good("Nothing was running.")
    return 0


def stop_all(instance: Instance) -> bool:
    """The services by their supervisor, then whatever else is the instance's: notebooks, and what a killed
    supervisor has left. False if nothing was there."""
    return any([supervisor.shut_down(instance), leftovers.end(instance) > 0])


def delete(instance: Instance) -> None:
    # The secrets' folders are read-only even for their owner.
    for folder in instance.secrets.glob("*/"):
        folder.chmod(0o700)
    shutil.rmtree(instance.folder)
