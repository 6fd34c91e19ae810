"""What a model's page shows, made from what /models/{name}, /visitors and the history say. No HTTP."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from urllib.parse import quote

from ..history import Minute
from . import pictures

CONTROLS = {
    **dict.fromkeys(("double", "float", "long", "integer"), "number"),
    **dict.fromkeys(("string", "binary", "datetime"), "text"),
    "boolean": "checkbox",
}
"""How a column of each plain type is typed in."""
_SAMPLES = {"boolean": True, "string": "text", "binary": "AA==", "datetime": "2026-01-31T12:00:00"}
_FORM_FIELDS = 24
_CALLERS = 12


@dataclass(frozen=True)
class Field:
    """One input of the form. kind: the signature's; control: `number`, `checkbox` or `text`."""

    name: str
    kind: str
    control: str
    required: bool
    value: Any


@dataclass(frozen=True)
class ModelView:
    """facts: as /models/{name} has them; visits: as /visitors has the model; address: where serving is."""

    facts: dict[str, Any]
    visits: dict[str, Any] | None
    minutes: Sequence[Minute]
    example_rows: list | None
    probabilities: bool
    address: str

    @property
    def name(self) -> str:
        return self.facts["name"]

    @property
    def link(self) -> str:
        return quote(self.name, safe="")

    @property
    def note(self) -> str | None:
        """Where another version is wanted than the one that answers: which, and why it is not there."""
        failure, wanted = self.facts["failure"], self.facts["wanted"]
        if failure:
            return f"Version {failure['version']} cannot be served: {failure['reason']}"
        if wanted is None:
            return "No version is in Production: programs ask for one by its alias"
        return f"Version {wanted} is being loaded" if self.facts["version"] != wanted else None

    @property
    def stuck_calls(self) -> int:
        return sum(one["stuck_calls"] for one in self.facts["versions"])

    @property
    def traffic_words(self) -> list[str]:
        """How requests are shared out among versions, in sentences; none where all go to Production."""
        aliases, canary, shadow = (self.facts[part] for part in ("aliases", "canary", "shadow"))
        words = []
        if canary["percent"] and "canary" in aliases:
            sticky = "each caller always to the same side" if canary["sticky"] == "caller" else "by chance"
            words.append(
                f"Version {aliases['canary']['wanted']}, the canary, is sent {canary['percent']:g} % of the"
                f" requests, {sticky}."
            )
        if shadow["percent"] and "shadow" in aliases:
            words.append(
                f"Version {aliases['shadow']['wanted']}, the shadow, gets copies of {shadow['percent']:g} %"
                " of them; its answers are compared and returned to nobody."
            )
        return words

    @property
    def answered(self) -> int:
        return self.visits["total"] if self.visits else 0

    @property
    def callers(self) -> list[dict[str, Any]]:
        return self.visits["callers"][:_CALLERS] if self.visits else []

    @property
    def callers_left_out(self) -> int:
        return max(len(self.visits["callers"]) - _CALLERS, 0) if self.visits else 0

    # --- trying it --------------------------------------------------------------------------------------

    @cached_property
    def body(self) -> dict[str, Any]:
        """A request that fits the signature."""
        rows = self.example_rows or [
            {column["name"]: _sample(column) for column in self._named_columns or ()}
        ]
        return json.loads(json.dumps({"inputs": rows}, default=str))

    @property
    def body_text(self) -> str:
        return json.dumps(self.body, indent=2, ensure_ascii=False)

    @cached_property
    def fields(self) -> list[Field] | None:
        """One for each column, None where a form of single fields would not do."""
        columns, rows = self._named_columns, self.body["inputs"]
        if columns is None or len(columns) > _FORM_FIELDS or not isinstance(rows[0], dict):
            return None
        return [
            Field(
                column["name"],
                column["type"],
                CONTROLS[column["type"]],
                column.get("required", True),
                rows[0].get(column["name"]),
            )
            for column in columns
        ]

    @cached_property
    def _named_columns(self) -> list[dict[str, Any]] | None:
        """The signature's inputs where all are named columns of plain types."""
        columns = (self.facts["signature"] or {}).get("inputs") or []
        plain = columns and all(one.get("name") and one.get("type") in CONTROLS for one in columns)
        return columns if plain else None

    @property
    def curl(self) -> str:
        return (
            f"curl {shlex.quote(self._predict_address)} \\\n"
            f'  -H "Authorization: Bearer $SLIPWAY_KEY" \\\n'
            f"  -H 'Content-Type: application/json' \\\n"
            f"  -d {shlex.quote(json.dumps(self.body, ensure_ascii=False))}"
        )

    @property
    def python(self) -> str:
        return (
            "import os\n\nimport requests\n\n"
            "answer = requests.post(\n"
            f"    {json.dumps(self._predict_address)},\n"
            '    headers={"Authorization": f"Bearer {os.environ[\'SLIPWAY_KEY\']}"},\n'
            f"    json={self.body!r},\n"
            "    timeout=10,\n"
            ")\n"
            "answer.raise_for_status()\n"
            'print(answer.json()["predictions"])'
        )

    @property
    def make_key(self) -> str:
        return f"slipway keys create my-app --models {shlex.quote(self.name)} --days 90"

    @property
    def _predict_address(self) -> str:
        return f"{self.address}/models/{self.link}/predict"

    # --- the last hour ----------------------------------------------------------------------------------

    @cached_property
    def traffic(self) -> pictures.Picture:
        return pictures.traffic(self.minutes)

    @cached_property
    def latency(self) -> pictures.Picture:
        return pictures.latency(self.minutes)

    @property
    def last_hour(self) -> int:
        return sum(minute.answered + minute.refused + minute.failed for minute in self.minutes)


def _sample(column: dict[str, Any]) -> Any:
    return _SAMPLES.get(column["type"], 1)


def format_count(number: int) -> str:
    """12345 -> `12 345`, with a space that does not break."""
    return f"{number:,}".replace(",", "\u202f")


def moment(iso: str | None) -> str:
    """`2026-11-24T07:31:05+00:00` -> `24 Nov 2026, 07:31 UTC`; what is no time is shown as it is."""
    try:
        time = datetime.fromisoformat(iso or "").astimezone(UTC)
    except ValueError:
        return iso or "?"
    return f"{time.day} {time:%b %Y, %H:%M} UTC"
