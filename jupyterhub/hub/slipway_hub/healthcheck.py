"""`python -m slipway_hub.healthcheck`: exit 0 if the hub answers and its database answers it."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit


def main() -> int:
    port = urlsplit(os.environ.get("HUB_BIND_URL", "http://0.0.0.0:8081")).port
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hub/ready", timeout=4):
            return 0
    except urllib.error.URLError as error:
        print(f"hub: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
