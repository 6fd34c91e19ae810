"""What can run a prepared model. Each runtime is a plug-in in a file of its own; none knows HTTP or
validation.

To add one: a class as `Runtime` says, a function `offer(loaded)` that makes it or raises Unsuitable with the
reason, and a line in `CANDIDATES`. Whether it is right and fast enough is found out by `preparation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

FEW = 64
"""Of so many rows a runtime may be asked in the event loop: then it leaves what it is not sure of to others,
with Unfit, and does not ask the native model, which is slow, itself."""


class Unsuitable(Exception):
    """A runtime cannot run this model; the message says why."""


class Unfit(Exception):
    """A runtime cannot answer this batch as the native model would: the reference has the last word."""


class Runtime(Protocol):
    """A typed batch -> predictions in any shape that numpy or pandas has.

    takes_params: it passes params on; otherwise a request that has some goes to the reference.
    probabilities: it has predict_proba.
    """

    name: str
    takes_params: bool
    probabilities: bool

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any: ...

    def predict_proba(self, data: Any) -> Any: ...


@dataclass(frozen=True)
class Loaded:
    """A model as MLflow loaded it, and what its runtime may use.

    estimator: scikit-learn's, where the model is one and answers with its `predict`.
    names: the signature's columns in their order; None where the input is not columns.
    threads: what one prediction may use; seconds: the time left for converting; converted: what runtimes made
    of the model, by their names, which need not be made again.
    """

    pyfunc: Any
    estimator: Any = None
    names: tuple[Any, ...] | None = None
    threads: int = 1
    seconds: float = 30
    converted: dict[str, bytes] = field(default_factory=dict)


def sklearn_estimator(pyfunc: Any) -> Any:
    """The estimator inside, or None where predictions are not simply its own `predict`."""
    wrapper = getattr(pyfunc, "_model_impl", None)
    if type(wrapper).__name__ != "_SklearnModelWrapper":
        return None
    return wrapper.sklearn_model if getattr(pyfunc, "_predict_fn", None) == wrapper.predict else None
