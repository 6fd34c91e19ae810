"""One version of one model, loaded and prepared: checked rows in, predictions out that JSON has a form for.

Knows neither HTTP nor the registry's client. Which runtime answers is found out at load, by `runtimes`;
MLflow's generic interface ("pyfunc") stays beside it as the reference, which has the last word on whatever it
cannot run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlflow.exceptions import MlflowException

from .column_inputs import ColumnInputs
from .environment import unmet
from .errors import Refused, first_line
from .examples import Unexpected, check_answer, draws_for, own_example
from .inputs import Inputs
from .plain import jsonable
from .registry import Target
from .runtimes import Loaded, Runtime, Unfit, sklearn_estimator
from .runtimes.preparation import Prepared, blank_report, prepare
from .runtimes.pyfunc import Pyfunc
from .runtimes.trial import SIZES
from .schema import check_params, compile_inputs, jsonable_signature
from .traffic import RUNTIME_TAG

log = logging.getLogger(__name__)
_UNKNOWN = float("inf")


@dataclass(frozen=True)
class ServedModel:
    """A version that has loaded and, where it has an input example, has answered it.

    preparation: what runtimes were tried, as `runtimes.preparation` reports it. row_wise: a row's prediction
    does not depend on the rows beside it, so requests may be run together. seconds: the runtime's, by number
    of rows. loaded: what its runtimes are made of, kept until the fastest is found; tags: the version's, as
    the registry had them when it was loaded.
    """

    target: Target
    runtime: Runtime
    reference: Runtime
    inputs: Inputs
    params_schema: Any
    flavor: str
    run_id: str | None
    signature: dict[str, Any] | None
    example_rows: list | None
    trial: tuple[Any, dict[str, Any] | None] | None
    preparation: dict[str, Any] = field(default_factory=dict)
    row_wise: bool = False
    seconds: dict[int, float] = field(default_factory=dict)
    loaded: Loaded | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def version(self) -> str:
        return self.target.version

    @property
    def probabilities(self) -> bool:
        """Whether it can be asked for each class's probability."""
        return self.reference.probabilities

    @property
    def classes(self) -> list | None:
        """The labels that the columns of its probabilities stand for, where it has such."""
        return getattr(self.reference, "classes", None)

    @property
    def pin(self) -> str | None:
        """The runtime that the version's tag names."""
        return self.tags.get(RUNTIME_TAG) or None

    def cost(self, rows: int) -> float:
        """Seconds that predicting so many rows takes, as measured at load; infinite where it was not."""
        one, more = self.seconds.get(1), self.seconds.get(64)
        if one is None or more is None:
            return _UNKNOWN
        return one + (rows - 1) * max(more - one, 0) / 63

    def predict(
        self, data: Any, raw_params: Any = None, strict: bool = False, probabilities: bool = False
    ) -> Any:
        """Checked input -> lists, dicts, scalars or a numeric array, as orjson writes them; raises Refused.

        A model that raises is asked its own input example again: if it answers that, the input was at fault
        (`model_rejected_input`, the caller's to mend), else the model is (`model_failed`, the owner's).
        """
        params = None if raw_params is None else check_params(raw_params, self.params_schema, strict)
        if probabilities and not self.probabilities:
            raise Refused("no_probabilities", f"{self.name} has no probabilities to give", "probabilities")
        try:
            return jsonable(self._answer(data, params, probabilities))
        except MlflowException as error:
            if "enforce schema" in str(error):
                raise Refused("invalid_input", first_line(error), "inputs") from None
            raise self._blame(error) from error
        except Exception as error:
            raise self._blame(error) from error

    def quick(self, data: Any, probabilities: bool = False) -> Any:
        """predict by the chosen runtime alone; where it raises, `predict` may still have an answer."""
        runtime = self.runtime
        if not probabilities:
            return jsonable(runtime.predict(data))
        if not runtime.probabilities:
            raise Unfit
        return jsonable(runtime.predict_proba(data))

    def _answer(self, data: Any, params: dict[str, Any] | None, probabilities: bool) -> Any:
        runtime = self.runtime
        if runtime is not self.reference and (runtime.takes_params or not params):
            try:
                if not probabilities:
                    return runtime.predict(data, params)
                if runtime.probabilities:
                    return runtime.predict_proba(data)
            except Exception as error:
                log.debug("left to the reference", extra={"model": self.name, "reason": first_line(error)})
        return self.reference.predict_proba(data) if probabilities else self.reference.predict(data, params)

    def _blame(self, error: Exception) -> Refused:
        reason = first_line(error)
        if isinstance(error, MemoryError) or not self._answers_its_example():
            log.error("a model failed", extra={"model": self.name, "version": self.version}, exc_info=error)
            return Refused("model_failed", f"{self.name} version {self.version} failed to predict ({reason})")
        log.info(
            "a model rejected its input",
            extra={"model": self.name, "version": self.version, "reason": reason},
        )
        return Refused("model_rejected_input", f"{self.name} cannot predict this input ({reason})", "inputs")

    def _answers_its_example(self) -> bool:
        if self.trial is None:
            return True
        try:
            self.reference.predict(*self.trial)
        except Exception:
            return False
        return True


class Unloadable(Exception):
    """A version cannot be served; the message says why."""


def first_load(
    folder: Path,
    target: Target,
    max_rows: int,
    *,
    threads: int = 1,
    tags: dict[str, str] | None = None,
) -> ServedModel:
    """A version from its files, as MLflow runs it, once it has answered its own input example.

    Raises Unloadable, which names what its environment lacks. threads: what one prediction may use.
    """
    import mlflow.pyfunc

    tags, lacking = tags or {}, unmet(folder)
    try:
        pyfunc = mlflow.pyfunc.load_model(str(folder))
    except Exception as error:
        raise Unloadable(_with_environment(f"it does not load: {first_line(error)}", lacking)) from error
    metadata = pyfunc.metadata
    inputs = compile_inputs(metadata.signature, max_rows)
    names = tuple(inputs.names) if isinstance(inputs, ColumnInputs) else None
    loaded = Loaded(pyfunc, sklearn_estimator(pyfunc), names, threads=threads)
    reference = Pyfunc(loaded)
    try:
        trial, rows = own_example(metadata, folder, inputs)
        if trial is not None:
            answer = reference.predict(*trial)
            jsonable(answer)
            check_answer(answer, metadata, tags)
        elif lacking.missing:
            raise Unloadable(f"{lacking} and it has no input example to try it on: log it with one")
    except Refused as error:
        raise Unloadable(f"its own input example does not fit its signature: {error.message}") from error
    except Unexpected as error:
        raise Unloadable(_with_environment(str(error), lacking)) from error
    except Unloadable:
        raise
    except Exception as error:
        reason = f"it does not answer its own input example: {first_line(error)}"
        raise Unloadable(_with_environment(reason, lacking)) from error
    return ServedModel(
        target=target,
        runtime=reference,
        reference=reference,
        inputs=inputs,
        params_schema=metadata.get_params_schema(),
        flavor=next((name for name in metadata.flavors if name != "python_function"), "python_function"),
        run_id=metadata.run_id,
        signature=jsonable_signature(metadata.signature),
        example_rows=rows,
        trial=trial,
        preparation={
            **blank_report(tags.get(RUNTIME_TAG), None, "it is being prepared"),
            "state": "running",
            "environment": lacking.remarks,
        },
        loaded=loaded,
        tags=dict(tags),
    )


def with_runtime(model: ServedModel, prepared: Prepared, last: bool = True) -> ServedModel:
    """The same version with the runtime that a preparation found; last: no further one is to come."""
    environment = model.preparation.get("environment", [])
    return replace(
        model,
        runtime=prepared.runtime,
        reference=prepared.reference,
        preparation={
            **prepared.report,
            "state": "done" if last else "running",
            "environment": environment,
        },
        row_wise=prepared.row_wise,
        seconds=prepared.seconds,
        loaded=None if last else model.loaded,
    )


def settled(model: ServedModel) -> ServedModel:
    """The version as it is, with nothing more to be found out."""
    return replace(model, preparation={**model.preparation, "state": "done"}, loaded=None)


def load_model(
    folder: Path,
    target: Target,
    max_rows: int,
    *,
    prepare_seconds: float = 30,
    threads: int = 1,
    tags: dict[str, str] | None = None,
) -> ServedModel:
    """first_load and the whole preparation in this process; raises Unloadable.

    prepare_seconds: the time limit for finding the fastest runtime, 0 for not looking.
    """
    model = first_load(folder, target, max_rows, threads=threads, tags=tags)
    loaded = model.loaded
    return with_runtime(
        model,
        prepare(
            loaded,
            lambda: draws_for(loaded, model.inputs, model.trial),
            prepare_seconds,
            "pyfunc" if prepare_seconds <= 0 else model.pin,
        ),
    )


def warm_up(model: ServedModel) -> None:
    """First calls are slow: make them, at the sizes that were measured, before callers do."""
    draws = draws_for(Loaded(None), model.inputs, model.trial)
    if draws is None:
        return
    for size in SIZES:
        if model.seconds.get(size, 0) > 1:
            break
        for data in draws.ordinary(size, size):
            try:
                model.quick(data)
            except Exception:  # noqa: S112 - what a runtime cannot answer, the reference does
                continue


def _with_environment(reason: str, lacking: Any) -> str:
    return f"{reason} ({lacking})" if lacking.remarks else reason
