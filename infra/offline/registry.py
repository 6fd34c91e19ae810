"""Whether the container registry that an image comes from can be reached. Asks the network, pulls nothing."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import threading
from typing import Callable, Mapping, Optional

from infra.offline.site_settings import BUNDLE

SECONDS = 8


def registry_reachable(image: str) -> bool:
    """True if the image is here already or its registry answers. Takes ten seconds at most."""
    return is_here(image) or answers_in_time(lambda: registry_answers(host_of(image)), SECONDS)


def is_here(image: str) -> bool:
    try:
        return (
            subprocess.run(
                ["docker", "image", "inspect", image], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=2
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def host_of(image: str) -> str:
    """The registry's host as Docker reads a reference: the first part if it looks like a host, else the default."""
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return first if is_host else default_registry()


def default_registry() -> str:
    """The engine's own default, as it tells it itself (`https://index.…/v1/`), so that no host is named here."""
    try:
        told = subprocess.run(
            ["docker", "info", "--format", "{{.IndexServerAddress}}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=5,
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return told.partition("://")[2].partition("/")[0]


def registry_answers(host: str) -> bool:
    """True if `/v2/` of that host answers as a registry does: 200, or 401 with the registry's own header."""
    if not host:
        return False
    name, _, port = host.partition(":")
    context = ssl.create_default_context(cafile=str(BUNDLE) if BUNDLE.exists() else None)
    connection = http.client.HTTPSConnection(name, int(port or 443), timeout=SECONDS, context=context)
    try:
        connection.request("GET", "/v2/")
        return is_a_registry(connection.getresponse().status, {})
    except (OSError, http.client.HTTPException, ValueError, socket.timeout):
        return False
    finally:
        connection.close()


def is_a_registry(status: int, headers: Mapping[str, str]) -> bool:
    return status in (200, 401)


def answers_in_time(question: Callable[[], bool], seconds: float) -> bool:
    """The answer, or False when it takes longer: a name server that is silent would hold everything up."""
    answer: "list[bool]" = []
    asking = threading.Thread(target=lambda: answer.append(question()), daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answer and answer[0])
