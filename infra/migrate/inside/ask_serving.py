"""Runs in the stack's serving container: asks it for a prediction, waiting until the version answers.

python ask_serving.py MODEL VERSION SECONDS < BODY      prints serving's answer
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote


def main(model: str, version: str, seconds: str) -> int:
    address = f"http://127.0.0.1:{os.environ.get('SERVING_PORT', '8000')}/models/{quote(model, safe='')}"
    body, deadline, state = sys.stdin.buffer.read(), time.monotonic() + float(seconds), "no answer"
    while time.monotonic() < deadline:
        try:
            live = ask(address)
            if str(live.get("version")) == version:
                print(json.dumps(ask(f"{address}/invocations", body)))
                return 0
            state = json.dumps(live)
        except urllib.error.HTTPError as error:
            state = error.read().decode(errors="replace")
            if error.code < 500 and error.code != 404:
                break
        except OSError as error:
            state = str(error)
        time.sleep(1)
    print(f"{model} version {version} does not answer: {state[:1000]}", file=sys.stderr)
    return 1


def ask(address: str, body: bytes | None = None) -> Any:
    # As the gateway asks for somebody who is logged in.
    secret = Path(os.environ.get("SECRETS_DIR", "/run/secrets"), "gateway_secret").read_text().strip()
    headers = {
        "Content-Type": "application/json",
        "X-Gateway-Secret": secret,
        "X-Remote-User": "migrate",
    }
    request = urllib.request.Request(address, data=body, headers=headers)  # noqa: S310  (http, fixed above)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  (http, fixed above)
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
