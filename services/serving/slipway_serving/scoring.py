"""A body into what a model takes: /predict's own form and MLflow's scoring protocol."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pandas as pd
from mlflow.types.schema import DataType

from . import arrow
from .errors import Refused, first_line
from .inputs import Inputs

if TYPE_CHECKING:
    from .model import ServedModel

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_BARE_FORMS = ("messages", "prompt", "input")
"""Of models that are asked as language models are: the body is the input, the answer has no `predictions`."""
_PARQUET = "application/vnd.apache.parquet"


@dataclass(slots=True)
class Question:
    """What is asked of a model: checked input, raw params, whether for probabilities; and in which form the
    answer is to come. reply: what the protocol needs for it besides.
    """

    data: Any
    params: Any = None
    probabilities: bool = False
    arrow: bool = False
    unwrapped: bool = False
    reply: Any = None


def parse_json(body: bytes) -> Any:
    """The body as JSON; raises Refused with the place where it stops being JSON."""
    if not body.strip():
        raise Refused("not_json", 'the body is empty: send JSON such as {"inputs": [...]}')
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN: send null for a missing value" if b"NaN" in body else ""
        raise Refused("not_json", f"the body is not JSON: {error}{hint}") from None


def parse_predict(body: bytes, content_type: str, model: ServedModel) -> Question:
    """The body of /predict; raises Refused."""
    inputs = model.inputs
    if content_type.startswith(arrow.MEDIA):
        return Question(arrow.read(body, inputs))
    document = _object(parse_json(body), 'such as {"inputs": [{...}]}')
    if "inputs" not in document:
        raise Refused("missing_field", 'the body must have "inputs": a list of rows', "inputs")
    question = Question(inputs.from_rows(document["inputs"]))
    if len(document) > 1:
        unknown = next((key for key in document if key not in ("inputs", "params", "probabilities")), None)
        if unknown is not None:
            raise Refused(
                "unknown_field",
                f'the body has "inputs", "params" and "probabilities", not {unknown!r}',
                unknown,
            )
        question.params = document.get("params")
        question.probabilities = _truth(document.get("probabilities", False), "probabilities")
    return question


def parse_invocation(body: bytes, content_type: str, model: ServedModel) -> Question:
    """The body of /invocations; raises Refused."""
    media = _media(content_type)
    inputs = model.inputs
    if media in ("application/json", ""):
        document = _object(parse_json(body), f"with one of {', '.join(FORMS)}")
        if not any(form in document for form in FORMS) and any(form in document for form in _BARE_FORMS):
            return _bare(document, model)
        question = Question(*parse_invocation_document(document, inputs))
        _take_probabilities(question, model)
        return question
    if media == "text/csv":
        return Question(inputs.from_frame(_csv(body, inputs), "csv"))
    if media == arrow.MEDIA:
        return Question(arrow.read(body, inputs))
    if media == _PARQUET:
        return Question(arrow.read_parquet(body, inputs))
    raise Refused(
        "unsupported_media_type",
        f"send application/json, text/csv, {arrow.MEDIA} or {_PARQUET}, not {media[:100]}",
        "Content-Type",
    )


def _bare(document: dict[str, Any], model: ServedModel) -> Question:
    """MLflow's form for language models: what the model has as params are params, all else is its input."""
    schema = model.params_schema
    known = {spec.name for spec in schema.params} if schema is not None else set()
    data = {key: value for key, value in document.items() if key not in known}
    params = {key: value for key, value in document.items() if key in known}
    return Question(model.inputs.from_object(data), params or None, unwrapped=True)


def _take_probabilities(question: Question, model: ServedModel) -> None:
    """`probabilities` among the params is for us, unless the model has a parameter of that name."""
    params = question.params
    if isinstance(params, dict) and "probabilities" in params and not has_param(model, "probabilities"):
        params = dict(params)
        question.probabilities = _truth(params.pop("probabilities"), "params.probabilities")
        question.params = params or None


def has_param(model: ServedModel, name: str) -> bool:
    schema = model.params_schema
    return schema is not None and any(spec.name == name for spec in schema.params)


def _truth(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise Refused("wrong_type", f"{field} must be true or false", field)
    return value


def parse_invocation_document(document: Any, inputs: Inputs) -> tuple[Any, Any]:
    """The JSON forms of the protocol; also the form in which MLflow keeps a model's input example."""
    document = _object(document, f"with one of {', '.join(FORMS)}")
    present = [form for form in FORMS if form in document]
    if len(present) != 1:
        got = ", ".join(map(str, document)) or "nothing"
        raise Refused(
            "missing_field", f"the body must have exactly one of {', '.join(FORMS)}; it has {got[:200]}"
        )
    form, value = present[0], document[present[0]]
    if form == "dataframe_split":
        data = inputs.from_split(value, form)
    elif form == "dataframe_records":
        data = inputs.from_records(value, form)
    else:
        data = inputs.from_tensors(form, value)
    return data, document.get("params")


def _object(document: Any, hint: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        kind = "a list" if isinstance(document, list) else "a bare value"
        raise Refused("not_an_object", f"the body must be a JSON object {hint}, not {kind}")
    return document


def _media(content_type: str) -> str:
    if content_type == "application/json":
        return content_type
    media, *parameters = (part.strip() for part in content_type.lower().split(";"))
    values = dict(part.partition("=")[::2] for part in parameters)
    if values.pop("charset", "utf-8").strip('"') not in ("utf-8", "utf8"):
        raise Refused("unsupported_media_type", "only UTF-8 is read", "Content-Type")
    if values:
        raise Refused(
            "unsupported_media_type",
            f"the content type has charset, not {next(iter(values))[:50]!r}",
            "Content-Type",
        )
    return media


def _csv(body: bytes, inputs: Inputs) -> pd.DataFrame:
    # Columns of text are read as text, so that "007" stays what it is; numbers are checked afterwards.
    schema = inputs.schema
    names = schema.input_dict() if schema is not None and schema.has_input_names() else {}
    texts = (DataType.string, DataType.binary, DataType.datetime)
    try:
        frame = pd.read_csv(
            io.BytesIO(body), dtype={name: str for name, spec in names.items() if spec.type in texts}
        )
    except (ValueError, pd.errors.ParserError) as error:  # no UTF-8 and no table are ValueErrors
        raise Refused("not_csv", f"the body is not a CSV table with a header ({first_line(error)})") from None
    for name, spec in names.items():
        if spec.type not in texts and name in frame.columns and pd.api.types.is_string_dtype(frame[name]):
            # One cell that is no number made the whole column text: undo it for the others, so that the
            # error names the cell that is wrong.
            frame[name] = pd.Series([_cell(value) for value in frame[name]], dtype=object)
    return frame


def _cell(text: Any) -> Any:
    if text in ("True", "False"):
        return text == "True"
    try:
        return float(text)
    except (TypeError, ValueError):
        return text
