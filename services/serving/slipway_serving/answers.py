"""From a request's body to the bytes of its answer, in one go, as a worker thread runs it. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from .errors import Refused
from .model import ServedModel
from .scoring import parse_invocation, parse_predict


@dataclass(frozen=True)
class Answer:
    body: bytes
    rows: int


def answer_predict(model: ServedModel, body: bytes, content_type: str) -> Answer:
    """{"inputs": rows} -> {"model", "version", "predictions"}; raises Refused."""
    data, params = parse_predict(body, model.inputs)
    predictions = model.predict(data, params, strict=True)
    return _answer(model, {"model": model.name, "version": model.version, "predictions": predictions})


def answer_invocation(model: ServedModel, body: bytes, content_type: str) -> Answer:
    """MLflow's scoring protocol -> {"predictions"}; raises Refused."""
    data, params = parse_invocation(body, content_type, model.inputs)
    return _answer(model, {"predictions": model.predict(data, params)})


def _answer(model: ServedModel, document: dict) -> Answer:
    predictions = document["predictions"]
    try:
        body = orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        raise Refused(
            "model_failed", f"{model.name} predicted what JSON has no form for ({error})"
        ) from error
    return Answer(body, len(predictions) if isinstance(predictions, list) else 1)
