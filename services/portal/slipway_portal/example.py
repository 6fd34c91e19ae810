"""The command lines on the page: one makes an application's key, the other asks a model with it."""

from __future__ import annotations

import json
import shlex
from urllib.parse import quote

from slipway_portal.state import ProductionModel

VALUES = {
    "double": 1.0,
    "float": 1.0,
    "long": 1,
    "integer": 1,
    "boolean": True,
    "string": "text",
    "datetime": "2026-01-31T12:00:00",
}
WORKED_EXAMPLE = (("Coord_X", "double"), ("Coord_Y", "double"))
"""What the red/blue example's model takes: shown to those who may not know what is in Production."""


def curl(public_url: str, models: tuple[ProductionModel, ...] | None) -> str:
    """A command that can be pasted into a shell as it is.

    One model in Production is reached at /predict; of several, the first that has named columns, by name.
    """
    usable = [model for model in models or () if model.columns and _known(model)]
    columns = usable[0].columns if usable else WORKED_EXAMPLE
    by_name = usable and len(models or ()) > 1
    path = f"/models/{quote(usable[0].name, safe='')}/predict" if by_name else "/predict"
    body = json.dumps({"inputs": [{name: VALUES[kind] for name, kind in columns}]}, ensure_ascii=False)
    return (
        f"curl {shlex.quote(f'{public_url}/serving{path}')} \\\n"
        f'  -H "Authorization: Bearer $SLIPWAY_KEY" \\\n'
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def make_key(models: tuple[ProductionModel, ...] | None) -> str:
    """A command that makes a key for the model that `curl` asks, and keeps it in a variable."""
    usable = [model for model in models or () if model.columns and _known(model)]
    name = usable[0].name if usable else "MODEL"
    return f"export SLIPWAY_KEY=$(slipway keys create my-app --models {shlex.quote(name)} --days 90)"


def _known(model: ProductionModel) -> bool:
    return all(kind in VALUES for _, kind in model.columns)
