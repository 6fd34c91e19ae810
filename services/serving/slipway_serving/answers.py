"""A request's body into the answer's: the work of one prediction, without HTTP.

A `Form` is a protocol's way of asking and of answering. Its two halves can be called apart, so that between
them the rows of several requests may be predicted together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from .errors import Refused
from .model import ServedModel
from .schema import ColumnInputs
from .scoring import parse_invocation, parse_predict

_QUICK_BYTES = 16 * 1024


@dataclass(frozen=True)
class Answer:
    body: bytes
    rows: int


@dataclass(frozen=True)
class Form:
    """read: (body, content type, the model's inputs) -> (checked input, raw params); raises Refused.
    wrap: (model, predictions) -> the document of the answer. strict: an unknown parameter is an error.
    """

    read: Callable[[bytes, str, Any], tuple[Any, Any]]
    wrap: Callable[[ServedModel, Any], dict[str, Any]]
    strict: bool

    def __call__(self, model: ServedModel, body: bytes, content_type: str) -> Answer:
        """All of it, in the caller's thread."""
        data, params = self.read(body, content_type, model.inputs)
        return self.write(model, model.predict(data, params, self.strict))

    def quick_to_read(self, model: ServedModel, body: bytes, content_type: str) -> bool:
        """Whether `read` is a matter of microseconds."""
        return (
            len(body) <= _QUICK_BYTES
            and isinstance(model.inputs, ColumnInputs)
            and not content_type.startswith("text/csv")
        )

    def write(self, model: ServedModel, predictions: Any) -> Answer:
        try:
            body = orjson.dumps(self.wrap(model, predictions), option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError as error:
            raise Refused(
                "model_failed", f"{model.name} predicted what JSON has no form for ({error})"
            ) from error
        return Answer(body, len(predictions) if isinstance(predictions, list | np.ndarray) else 1)


def _read_predict(body: bytes, content_type: str, inputs: Any) -> tuple[Any, Any]:
    return parse_predict(body, inputs)


def _wrap_predict(model: ServedModel, predictions: Any) -> dict[str, Any]:
    return {"model": model.name, "version": model.version, "predictions": predictions}


def _wrap_invocation(model: ServedModel, predictions: Any) -> dict[str, Any]:
    return {"predictions": predictions}


answer_predict = Form(_read_predict, _wrap_predict, strict=True)
"""{"inputs": rows} -> {"model", "version", "predictions"}."""

answer_invocation = Form(parse_invocation, _wrap_invocation, strict=False)
"""MLflow's scoring protocol -> {"predictions"}."""
