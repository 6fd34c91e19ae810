"""A loaded version's fastest runtime: as it was found before, or looked for in a process of its own.

What was found is kept beside the cached version, and holds for every replica of the same cache.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

from .errors import first_line
from .examples import draws_for
from .manifest import OURS
from .model import ServedModel, with_runtime
from .runtimes import findings
from .runtimes.findings import Finding
from .runtimes.preparation import blank_report, prepare

log = logging.getLogger(__name__)
_QUICK_SECONDS = 10.0
# The time limit is of the child's own processor time: a busy machine makes it wait, but not for ever.
_PATIENCE = 4
_WRITING_SECONDS = 2.0  # beyond the time limit, for a child that is just writing down what it has


class Preparer:
    def __init__(self, seconds: float, threads: int, max_rows: int):
        """seconds: the time limit, 0 for not looking; threads: what one prediction may use."""
        self._seconds, self._threads, self._max_rows = seconds, threads, max_rows
        # Two at once would only make both slower.
        self._one = threading.Lock()
        self._children: set[subprocess.Popen] = set()

    def recall(self, folder: Path, model: ServedModel) -> ServedModel:
        """The version with what was found before, as it is where nothing was or it no longer holds."""
        if self._seconds <= 0 or model.pin == "pyfunc":
            why = None if model.pin == "pyfunc" else "looking for a runtime is turned off"
            return _unprepared(model, why)
        finding = findings.read(folder / OURS, self._key(model))
        return model if finding is None else self._use(model, finding)

    def prepare(self, folder: Path, model: ServedModel) -> ServedModel:
        """Look for the fastest runtime within the time limit; never fails.

        Where the look does not come to an end, a quick one has to do, and the version can be prepared again.
        """
        if model.loaded is None:
            return model
        with self._one:
            prepared = self.recall(folder, model)  # another replica may have looked meanwhile
            if prepared.loaded is None:
                return prepared
            began = time.monotonic()
            try:
                finding = self._in_child(folder, model)
            except _Failed as error:
                log.warning("a preparation failed", extra={**_named(model), "reason": str(error)})
                return self.quick(model, str(error))
        try:
            findings.write(folder / OURS, finding, self._key(model))
        except OSError as error:
            log.warning("a preparation cannot be kept", extra={**_named(model), "reason": first_line(error)})
        prepared = self._use(model, finding)
        if prepared.loaded is not None:
            return self.quick(model, "in this process it answered otherwise")
        log.info(
            "prepared",
            extra={
                **_named(model),
                "runtime": prepared.runtime.name,
                "took": round(time.monotonic() - began, 2),
            },
        )
        return prepared

    def quick(self, model: ServedModel, why: str | None = None) -> ServedModel:
        """A first look in this process, of a second or so; why: what kept the whole one from its end."""
        loaded = model.loaded
        if loaded is None:
            return model
        prepared = prepare(
            loaded,
            lambda: draws_for(loaded, model.inputs, model.trial),
            min(self._seconds, _QUICK_SECONDS),
            model.pin,
            quick=True,
        )
        if why is not None:
            prepared = replace(prepared, report={**prepared.report, "error": why})
        return with_runtime(model, prepared, last=False)

    def close(self) -> None:
        """End what is being looked for."""
        for child in list(self._children):
            child.kill()

    def _key(self, model: ServedModel) -> str:
        return findings.fingerprint(model.pin, self._threads)

    def _use(self, model: ServedModel, finding: Finding) -> ServedModel:
        loaded = model.loaded
        try:
            return with_runtime(
                model, findings.use(loaded, finding, lambda: draws_for(loaded, model.inputs, model.trial))
            )
        except Exception as error:
            log.warning(
                "what a preparation found does not hold any more",
                extra={**_named(model), "reason": first_line(error)},
            )
            return model

    def _in_child(self, folder: Path, model: ServedModel) -> Finding:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="prepare-") as out:
            task = {
                "folder": str(folder),
                "target": asdict(model.target),
                "max_rows": self._max_rows,
                "threads": self._threads,
                "tags": model.tags,
                "seconds": self._seconds,
                "out": out,
            }
            self._run(json.dumps(task), self._seconds * _PATIENCE)
            finding = findings.read(Path(out), self._key(model))
        if finding is None:
            raise _Failed("its process wrote nothing down")
        report = {**finding.report, "seconds": round(time.monotonic() - began, 2)}
        return replace(finding, report=report)

    def _run(self, task: str, seconds: float) -> None:
        package = Path(__file__).parents[1]
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        child = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.prepare_child"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # it starts one too: they end together
        )
        self._children.add(child)
        try:
            _, said = child.communicate(task, timeout=seconds + _WRITING_SECONDS)
        except subprocess.TimeoutExpired:
            raise _Failed(f"it was not done after {seconds:g} s: the machine is busy") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
            child.wait()
            self._children.discard(child)
        if child.returncode != 0:
            lines = said.strip().splitlines()
            how = f"ended by signal {-child.returncode}" if child.returncode < 0 else "failed"
            raise _Failed(f"its process {how}" + (f": {lines[-1][:200]}" if lines else ""))


def _unprepared(model: ServedModel, reason: str | None) -> ServedModel:
    """Through MLflow's own interface, with a report that says why; without a reason it is pinned."""
    report = blank_report(model.pin, reason, reason or "pyfunc is pinned")
    return replace(model, preparation={**model.preparation, **report, "state": "done"}, loaded=None)


class _Failed(Exception):
    pass


def _named(model: ServedModel) -> dict[str, str]:
    return {"model": model.name, "version": model.version}
