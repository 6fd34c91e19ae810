"""Whether the container registry that an image comes from can be reached. Asks the network, pulls nothing."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping

from infra.offline.site_settings import BUNDLE

SECONDS = 7


def registry_reachable(image: str) -> bool:
    """True if the image is here already, or its registry or a mirror of it answers. Ten seconds at most."""
    return is_here(image) or answers_in_time(
        lambda: any(answers(address) for address in addresses_for(image, engine())), SECONDS
    )


def is_here(image: str) -> bool:
    return docker("image", "inspect", "--format", "{{.Id}}", image) != ""


def docker(*words: str) -> str:
    """What `docker` prints; empty if it fails or takes more than two seconds."""
    try:
        done = subprocess.run(
            ["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=2
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def engine() -> dict:
    """What the engine says of itself, as `docker info` has it: its default registry, mirrors and proxy."""
    try:
        return json.loads(docker("info", "--format", "{{json .}}"))
    except ValueError:
        return {}


def addresses_for(image: str, info: Mapping) -> list[str]:
    """Where the engine would look for the image: a host in its name, else its mirrors and its default.

    The default is taken from the engine itself (`https://index.…/v1/`), so that no host is named here.
    """
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return [f"https://{first}"]
    mirrors = (info.get("RegistryConfig") or {}).get("Mirrors") or []
    default = info.get("IndexServerAddress", "").partition("/v1")[0]
    return [address.rstrip("/") for address in (*mirrors, default) if address]


def answers(address: str) -> bool:
    """True if `/v2/` answers as a registry does. It may ask for a login; public images need none."""
    context = ssl.create_default_context(cafile=str(BUNDLE) if BUNDLE.exists() else None)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(f"{address}/v2/", timeout=SECONDS) as answer:
            return is_a_registry(answer.status, answer.headers)
    except urllib.error.HTTPError as error:
        return is_a_registry(error.code, error.headers)
    except (OSError, ValueError):
        return False


def is_a_registry(status: int, headers: Mapping[str, str]) -> bool:
    """A registry names its API or asks for a token; a login page that answers for everything does neither."""
    if headers.get("Docker-Distribution-Api-Version") is not None:
        return status in (200, 401)
    return status == 401 and (headers.get("WWW-Authenticate") or "").lower().startswith("bearer ")


def answers_in_time(question: Callable[[], bool], seconds: float) -> bool:
    """The answer, or False when it takes longer: a name server that is silent would hold everything up."""
    answer: list[bool] = []
    asking = threading.Thread(target=lambda: answer.append(question()), daemon=True)
    asking.start()
    asking.join(seconds)
    return bool(answer and answer[0])
