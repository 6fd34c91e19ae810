"""The stack's own secrets, looked for where nobody may find them."""

from __future__ import annotations

import json
import subprocess
import tempfile

import pytest

from tests.e2e import people


@pytest.fixture(scope="module")
def secrets(platform) -> dict[str, str]:
    """All that were made, by name."""
    stack = platform.installation
    read = "import json, pathlib; files = pathlib.Path('/s').iterdir(); "
    read += "print(json.dumps({file.name: file.read_text() for file in files}))"
    python = ("--entrypoint=python3", "slipway/secrets:dev", "-c", read)
    shown = stack.docker("run", "--rm", f"--volume={stack.project}_secrets:/s:ro", *python)
    found = json.loads(shown.stdout)
    assert len(found) > 15
    return found


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, value in secrets.items() if value in text]


def test_none_is_in_the_inspection_the_process_list_or_the_logs(stack, containers, secrets):
    everything = json.dumps(containers)
    for one in containers.values():
        if one["State"]["Running"]:
            everything += stack.docker("top", one["Id"], "-eo", "pid,args").stdout
        said = stack.docker("logs", one["Id"])
        everything += said.stdout + said.stderr
    assert found_in(everything, secrets) == []


def test_none_is_in_a_users_container(stack, platform, person, secrets):
    """Not in the environment of any process, not in its file system, not in what the engine tells of it."""
    page = person(platform.admin)
    people.log_in(page, platform.admin, platform.admin_password)
    people.start_server(page, platform.admin)
    name = f"{stack.project}-notebook-{platform.admin}"
    shown = stack.docker("inspect", name).stdout
    shown += stack.docker("exec", name, "sh", "-c", "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline").stdout
    assert "JUPYTERHUB_API_TOKEN" in shown, "what is looked at is the server's environment"
    assert found_in(shown, secrets) == []
    assert names_in_stream(["docker", "export", name], secrets, platform) == []
    home = stack.docker("exec", name, "sh", "-c", "find ~ /tmp -type f -size -1M -exec cat {} + 2>/dev/null")
    assert found_in(home.stdout, secrets) == []


def test_none_is_in_a_layer_of_an_image(stack, containers, platform, secrets):
    """Every file of every layer of our own images, those of the offline ones included."""
    images = sorted({one["Config"]["Image"] for one in containers.values()})
    assert names_in_stream(["docker", "save", *images], secrets, platform) == []


def names_in_stream(command: list[str], secrets: dict[str, str], platform) -> list[str]:
    """Which secrets are in what the command writes, some gigabytes."""
    environment = platform.installation.environment
    search = ["grep", "--text", "--only-matching", "--fixed-strings"]
    with tempfile.NamedTemporaryFile("w") as patterns:  # a command line would show them to everybody
        patterns.write("\n".join(secrets.values()))
        patterns.flush()
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as stream:
            found = subprocess.run(
                [*search, f"--file={patterns.name}"],
                stdin=stream.stdout,
                capture_output=True,
                env={**environment, "LC_ALL": "C"},
                check=False,
            )
    assert (stream.returncode, found.returncode in (0, 1)) == (0, True), found.stderr
    values = found.stdout.decode().split()
    return [name for name, value in secrets.items() if value in values]
