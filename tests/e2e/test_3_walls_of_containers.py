"""Every running container against the table of docs/security.md: what is not in it has no exception."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e import people
from tests.support.installation import REPOSITORY

PAGE = REPOSITORY / "docs/security.md"
ROW = re.compile(r"^\| `(?P<name>[a-z-]+)` \| (?P<what>[^|]+) \| (?P<why>[^|]+) \|$", re.MULTILINE)
CAPABILITY = re.compile(r"`([A-Z_]+)`")
ROOT, WRITABLE = "root", "writable root"


@pytest.fixture(scope="module")
def exceptions() -> dict[str, tuple[str, set[str]]]:
    """From the page: the exception in words, and the capabilities named in it."""
    text = PAGE.read_text(encoding="utf-8")
    table = text[text.index("| container | exception | reason |") :].split("\n\n")[0]
    found = {row["name"]: (row["what"], set(CAPABILITY.findall(row["what"]))) for row in ROW.finditer(table)}
    assert found, "the table of exceptions is not where it should be"
    assert all(row["why"].strip() for row in ROW.finditer(table))
    return found


@pytest.fixture
def every_container(stack, platform, person, containers) -> dict[str, dict]:
    """Those of the stack and a person's notebook server."""
    page = person(platform.admin)
    people.log_in(page, platform.admin, platform.admin_password)
    people.start_server(page, platform.admin)
    name = f"{stack.project}-notebook-{platform.admin}"
    return {**containers, "notebook server": json.loads(stack.docker("inspect", name).stdout)[0]}


def test_every_container_is_behind_the_same_walls(every_container, exceptions):
    for name, one in every_container.items():
        host, (allowed, capabilities) = one["HostConfig"], exceptions.get(name, ("", set()))
        assert host["ReadonlyRootfs"] or WRITABLE in allowed, f"{name} can write to its root file system"
        assert not host["Privileged"], name
        assert host["CapDrop"] == ["ALL"], name
        added = {one.removeprefix("CAP_") for one in host["CapAdd"] or ()}
        assert added == capabilities, name
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"]), name
        assert host["PidsLimit"] and host["PidsLimit"] > 0, name
        assert host["Memory"] > 0 and (host["NanoCpus"] or host["CpuQuota"]) > 0, name
        assert host["LogConfig"]["Config"].get("max-size"), name
        assert host["NetworkMode"] != "host" and host["PidMode"] != "host" and host["IpcMode"] != "host", name
        root = one["Config"]["User"].split(":")[0] in ("", "0", "root")
        assert not root or allowed.startswith(ROOT), f"{name} runs as root"


def test_the_page_names_no_container_that_is_not_there(every_container, exceptions):
    assert set(exceptions) <= set(every_container)


def test_one_container_alone_has_the_engines_socket(every_container):
    with_socket = {
        name
        for name, one in every_container.items()
        if any("docker.sock" in mount["Source"] for mount in one["Mounts"])
    }
    assert with_socket == {"dockergate"}


def test_no_container_but_the_stores_and_the_job_of_secrets_sees_a_folder_of_the_host(every_container):
    """Folders of the checkout, read-only, with programs in them or the operator's own secrets."""
    for name, one in every_container.items():
        binds = [mount for mount in one["Mounts"] if mount["Type"] == "bind"]
        for mount in binds:
            assert not mount["RW"] or mount["Source"].endswith("docker.sock"), (name, mount)
