"""A body into what a model takes: /predict's own form and MLflow's scoring protocol."""

from __future__ import annotations

import io
from typing import Any

import orjson
import pandas as pd
from mlflow.types.schema import DataType

from .errors import Refused, first_line
from .schema import Inputs

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def parse_json(body: bytes) -> Any:
    """The body as JSON; raises Refused with the place where it stops being JSON."""
    if not body.strip():
        raise Refused("not_json", 'the body is empty: send JSON such as {"inputs": [...]}')
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        hint = "; JSON has no NaN: send null for a missing value" if b"NaN" in body else ""
        raise Refused("not_json", f"the body is not JSON: {error}{hint}") from None


def parse_predict(body: bytes, inputs: Inputs) -> tuple[Any, Any]:
    """The body of /predict -> (model input, raw params); raises Refused."""
    document = _object(parse_json(body), 'such as {"inputs": [{...}]}')
    if "inputs" not in document:
        raise Refused("missing_field", 'the body must have "inputs": a list of rows', "inputs")
    if unknown := next((key for key in document if key not in ("inputs", "params")), None):
        raise Refused("unknown_field", f'the body has "inputs" and "params", not {unknown!r}', unknown)
    return inputs.from_rows(document["inputs"]), document.get("params")


def parse_invocation(body: bytes, content_type: str, inputs: Inputs) -> tuple[Any, Any]:
    """The body of /invocations -> (model input, raw params); raises Refused."""
    media, charset = _media(content_type)
    if charset not in ("utf-8", "utf8"):
        raise Refused("unsupported_media_type", "only UTF-8 is read", "Content-Type")
    if media == "text/csv":
        return inputs.from_frame(_csv(body, inputs), "csv"), None
    if media not in ("application/json", ""):
        raise Refused(
            "unsupported_media_type", f"send application/json or text/csv, not {media[:100]}", "Content-Type"
        )
    return parse_invocation_document(parse_json(body), inputs)


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


def _media(content_type: str) -> tuple[str, str]:
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    values = dict(part.partition("=")[::2] for part in parameters)
    return media, values.get("charset", "utf-8").strip('"')


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
