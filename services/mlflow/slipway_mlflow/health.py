"""Whether the running server answers a question for which it has to ask its databases."""

from __future__ import annotations

import json
import os
import sys
import urllib.request

from .settings import secret, static_prefix


def healthcheck() -> int:
    port = os.environ.get("MLFLOW_PORT", "5000")
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{static_prefix()}/api/2.0/mlflow/experiments/search",
        data=json.dumps({"max_results": 1}).encode(),
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {secret('mlflow_reader_token')}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=8) as response:  # noqa: S310  (http, fixed above)
            json.load(response)
    except (OSError, ValueError) as error:
        print(f"mlflow: not healthy: {error}", file=sys.stderr)
        return 1
    return 0
