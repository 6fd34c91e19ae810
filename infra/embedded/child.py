"""Becomes one service: `python -m infra.embedded.child NAME`, started by the supervisor in the instance's
folder. Runs inside the platform's environment.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from infra.embedded import processes


def main(name: str) -> None:
    service = json.loads(Path("run/services.json").read_text(encoding="utf-8"))[name]
    end_with_the_supervisor()
    # What a killed predecessor has left behind would hold its port.
    processes.end(processes.of_service(os.environ["SLIPWAY_INSTANCE"], name, but=os.getpid()))
    environment = {**os.environ, **service["environment"], "SLIPWAY_SERVICE": name}
    os.chdir(service["folder"])
    os.execvpe(service["command"][0], service["command"], environment)  # noqa: S606


def end_with_the_supervisor() -> None:
    """A supervisor that is killed cannot stop its children; Linux can do it in its place (prctl(2),
    PR_SET_PDEATHSIG). Elsewhere the next start or `down` ends them."""
    if sys.platform == "linux":
        supervisor = int(Path("run/supervisord.pid").read_text())
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGTERM)
        if os.getppid() != supervisor:  # it was killed before that
            sys.exit("the supervisor has ended")


if __name__ == "__main__":
    main(sys.argv[1])
