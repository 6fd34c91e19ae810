"""Images that were made here: whether one is up to date, and building it when it is not."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from infra.docker.system import Refusal

INPUTS = "slipway.inputs"
"""The label that holds the digest of what an image was made from."""

Say = Callable[[str], None]


def digest_of(parts: Mapping[str, str]) -> str:
    """A digest of named texts; neither their order nor how they are cut up can make two sets look alike."""
    whole = hashlib.sha256()
    for name in sorted(parts):
        for text in (name, parts[name]):
            data = text.encode("utf-8")
            whole.update(len(data).to_bytes(8, "big") + data)
    return whole.hexdigest()


def files_of(folder: Path) -> dict[str, str]:
    """Every file of a build context with its content and whether it can be executed."""
    return {
        f"{path.relative_to(folder)} {path.stat().st_mode & 0o111:o}": path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def inspect(image: str, what: str) -> str:
    """One field of an image, by a Go template; empty if there is no such image."""
    done = subprocess.run(
        ["docker", "image", "inspect", "--format", what, image],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def is_made_from(image: str, digest: str) -> bool:
    return inspect(image, f'{{{{index .Config.Labels "{INPUTS}"}}}}') == digest


def ensure_built(image: str, folder: Path, base: str, say: Say) -> None:
    """Builds the image from a folder's Dockerfile unless it was made from these very files and this base."""
    digest = digest_of({**files_of(folder), "base image": inspect(base, "{{.Id}}")})
    if is_made_from(image, digest):
        say(f"{image} is here")
        return
    say(f"building {image}")
    follow(
        [
            *("docker", "build", "--progress=plain", "--tag", image),
            *("--build-arg", f"BASE_IMAGE={base}"),
            *("--label", f"{INPUTS}={digest}"),
            str(folder),
        ],
        say,
        f"{image} could not be built. Most often a mirror is not reached: see that `apt-get update` and "
        f"`pip download` "
        "work on this machine, then run it again; what was built stays.",
    )


def follow(command: Iterable[str], say: Say, remedy: str) -> None:
    """Runs a long command; its steps are told as they come, its last lines if it fails."""
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "DOCKER_BUILDKIT": "1"},
    )
    assert process.stdout is not None
    last: list[str] = []
    for line in process.stdout:
        line = line.rstrip()
        last = [*last, line][-25:]
        step = line.partition(" ")[2]
        if line.startswith("#") and step.startswith("[") and "internal]" not in step:
            say("  " + step)
    if process.wait() != 0:
        raise Refusal("\n".join(["", *("    " + line for line in last), remedy]))
