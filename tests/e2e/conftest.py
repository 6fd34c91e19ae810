"""The platform that the end-to-end tests speak to, and the browser they use.

A platform is an address and an administrator's credentials. Set SLIPWAY_TEST_URL, SLIPWAY_TEST_ADMIN and
SLIPWAY_TEST_ADMIN_PASSWORD to test one that runs already; else `./slipway up` starts one for the tests, under
a project name, ports and data of its own, and all of it is removed at the end. A module's WAYS names the ways
of running that its tests are for; without it, they are for the Compose stack.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.served import Served
from tests.support import browser
from tests.support.installation import REPOSITORY, Embedded, Installation, Stack
from tests.support.person import Person

WAYS = {"docker": Stack, "embedded": Embedded}
RESULTS = REPOSITORY / "tests/results"


@dataclass
class Platform:
    url: str
    admin: str
    admin_password: str
    installation: Installation | None = None

    def get(self, path: str, **options: object) -> httpx.Response:
        return httpx.get(self.url + path, timeout=30, **options)

    def post(self, path: str, **options: object) -> httpx.Response:
        return httpx.post(self.url + path, timeout=60, **options)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "platform" in metafunc.fixturenames:
        ways = getattr(metafunc.module, "WAYS", ("docker",))
        given = ("given",) if os.environ.get("SLIPWAY_TEST_URL") else ways
        metafunc.parametrize("platform", given, indirect=True, scope="session")


@pytest.fixture(scope="session")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    if url := os.environ.get("SLIPWAY_TEST_URL"):
        yield Platform(
            url.rstrip("/"), os.environ["SLIPWAY_TEST_ADMIN"], os.environ["SLIPWAY_TEST_ADMIN_PASSWORD"]
        )
        return
    installation = WAYS[request.param]("slipway-e2e")
    installation.slipway("down", "--volumes", "--yes", check=False)  # what an interrupted run left
    installation.slipway("up")
    yield Platform(installation.url, *installation.administrator(), installation)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{installation.way}.log").write_text(installation.logs())
    installation.slipway("down", "--volumes", "--yes")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """Notes where a story breaks off; its next chapters need what this one should have left."""
    report = yield
    if report.failed and (story := item.funcargs.get("story")):
        story.broken = story.broken or item.name
    return report


@pytest.fixture
def installation(platform: Platform) -> Installation:
    if platform.installation is None:
        pytest.skip("this test looks inside the platform, which was given by its address alone")
    return platform.installation


@pytest.fixture
def stack(installation: Installation) -> Stack:
    assert isinstance(installation, Stack)
    return installation


@pytest.fixture
def containers(stack) -> dict[str, dict]:
    """Every container of the stack as `docker inspect` shows it, by the service's name."""
    ids = stack.docker(
        "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={stack.project}"
    )
    inspected = json.loads(stack.docker("inspect", *ids.stdout.split()).stdout)
    return {one["Config"]["Labels"]["com.docker.compose.service"]: one for one in inspected}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with browser.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def person(chromium: Browser, platform: Platform):
    """Opens a browser of its own for each name: another person has other cookies."""
    contexts: dict[str, BrowserContext] = {}

    def browser_of(name: str) -> Page:
        if name not in contexts:
            contexts[name] = chromium.new_context(
                base_url=platform.url, viewport={"width": 1280, "height": 860}
            )
            contexts[name].set_default_timeout(30_000)
            # MLflow opens its assistant, which is closed here, beside the first page a browser sees.
            contexts[name].add_init_script("localStorage['mlflow.assistant.panelOpen_v1'] = 'false';")
            contexts[name].add_init_script(
                "localStorage['mlflow.assistant.fab.autoOpenedOnFirstLoad_v1'] = 'true';"
            )
            contexts[name].new_page()
        return contexts[name].pages[0]

    yield browser_of
    for context in contexts.values():
        context.close()


@pytest.fixture(scope="session")
def administrator(platform: Platform) -> Iterator[Person]:
    """The administrator, by program."""
    someone = Person(platform.url, name=platform.admin, password=platform.admin_password)
    yield someone
    someone.http.close()


@pytest.fixture(scope="session")
def application(administrator: Person) -> Iterator[httpx.Client]:
    """An application with a key for every model."""
    with administrator.application("tests", "*") as client:
        yield client


@pytest.fixture(scope="session")
def served(platform: Platform, administrator: Person) -> Served:
    """Small models in Production, and an application that asks for their predictions."""
    served = Served(platform.url, administrator)
    served.make_models()
    return served


@pytest.fixture(scope="session")
def screenshot(platform: Platform):
    """Keeps a picture of a page under tests/results/."""

    def take(page: Page, name: str) -> None:
        RESULTS.mkdir(exist_ok=True)
        way = platform.installation.way if platform.installation else "given"
        page.screenshot(path=RESULTS / f"{way}-{name}.png")

    return take
