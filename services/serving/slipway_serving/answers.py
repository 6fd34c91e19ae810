"""A request's body into the answer's: the work of one prediction, without HTTP.

A `Form` is a protocol's way of asking and of answering. Its two halves can be called apart, so that between
them the rows of several requests may be predicted together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

from . import arrow
from .column_inputs import ColumnInputs
from .errors import Refused
from .model import ServedModel
from .scoring import Question, parse_invocation, parse_predict

JSON = b"application/json"
_QUICK_BYTES = 16 * 1024
_BULK = ("text/csv", "application/vnd.")


@dataclass(slots=True)
class Request:
    """What a form reads. json_length: of a body whose JSON has binary tensors after it."""

    body: bytes
    content_type: str = ""
    accept: bytes = b""
    json_length: bytes | None = None


@dataclass(slots=True)
class Answer:
    """rows: predictions in it; queued: seconds that the request waited for its turn."""

    body: bytes
    rows: int
    media: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    question: Question | None = None
    predictions: Any = None
    queued: float = 0.0


@dataclass(frozen=True)
class Form:
    """read: what was sent -> what is asked; raises Refused. write: the model's predictions -> the answer.

    strict: an unknown parameter is an error.
    """

    read: Callable[[Request, ServedModel], Question]
    write: Callable[[ServedModel, Question, Any], Answer]
    strict: bool

    def __call__(self, model: ServedModel, body: bytes, content_type: str = "") -> Answer:
        """All of it, in the caller's thread."""
        return self.in_one_go(model, Request(body, content_type))

    def in_one_go(self, model: ServedModel, request: Request) -> Answer:
        question = self.read(request, model)
        return self.answer(model, question)

    def answer(self, model: ServedModel, question: Question) -> Answer:
        predictions = model.predict(question.data, question.params, self.strict, question.probabilities)
        return self.finished(model, question, predictions)

    def finished(self, model: ServedModel, question: Question, predictions: Any) -> Answer:
        answer = self.write(model, question, predictions)
        answer.question, answer.predictions = question, predictions
        return answer


def quick_to_read(model: ServedModel, request: Request) -> bool:
    """Whether `read` is a matter of microseconds: little JSON for plain columns."""
    return (
        len(request.body) <= _QUICK_BYTES
        and isinstance(model.inputs, ColumnInputs)
        and not request.content_type.startswith(_BULK)
        and not arrow.wanted(request.accept)
    )


def dumps(model: ServedModel, document: Any) -> bytes:
    try:
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError as error:
        raise Refused(
            "model_failed", f"{model.name} predicted what JSON has no form for ({error})"
        ) from error


def rows_of(predictions: Any) -> int:
    return len(predictions) if isinstance(predictions, list | np.ndarray) else 1


def _read_predict(request: Request, model: ServedModel) -> Question:
    question = parse_predict(request.body, request.content_type, model)
    question.arrow = arrow.wanted(request.accept)
    return question


def _read_invocation(request: Request, model: ServedModel) -> Question:
    question = parse_invocation(request.body, request.content_type, model)
    question.arrow = arrow.wanted(request.accept)
    return question


def _write_predict(model: ServedModel, question: Question, predictions: Any) -> Answer:
    if question.arrow:
        return _arrow(model, question, predictions)
    document = {"model": model.name, "version": model.version, "predictions": predictions}
    return _json(model, question, document, predictions)


def _write_invocation(model: ServedModel, question: Question, predictions: Any) -> Answer:
    if question.arrow:
        return _arrow(model, question, predictions)
    if question.unwrapped:
        return Answer(dumps(model, predictions), rows_of(predictions))
    return _json(model, question, {"predictions": predictions}, predictions)


def _json(model: ServedModel, question: Question, document: dict[str, Any], predictions: Any) -> Answer:
    if question.probabilities:
        document["classes"] = model.classes
    return Answer(dumps(model, document), rows_of(predictions))


def _arrow(model: ServedModel, question: Question, predictions: Any) -> Answer:
    names = model.classes if question.probabilities else None
    return Answer(arrow.write(predictions, names), rows_of(predictions), arrow.MEDIA.encode())


answer_predict = Form(_read_predict, _write_predict, strict=True)
"""{"inputs": rows} -> {"model", "version", "predictions"}."""

answer_invocation = Form(_read_invocation, _write_invocation, strict=False)
"""MLflow's scoring protocol -> {"predictions"}."""
