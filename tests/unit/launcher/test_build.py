"""Whether there is anything to build, and what a person is told while it is built."""

from __future__ import annotations

import pytest

from infra.launcher import build, compose, engine
from infra.launcher.compose import Plan

IGNORE = "# what images take\n*\n!services\n!pyproject.toml\n**/__pycache__\n**/*.egg-info\n"


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "services/hub/__pycache__").mkdir(parents=True)
    (tmp_path / "services/hub/x.egg-info").mkdir()
    (tmp_path / ".dockerignore").write_text(IGNORE)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "README.md").write_text("read me\n")
    (tmp_path / "services/hub/Dockerfile").write_text("FROM x\n")
    (tmp_path / "services/hub/__pycache__/a.pyc").write_text("0")
    (tmp_path / "services/hub/x.egg-info/PKG-INFO").write_text("0")
    return tmp_path


@pytest.fixture
def plan(make_service):
    return Plan("slipway", (make_service("hub", build={"args": {"BASE_IMAGE": "debian:trixie-slim"}}),))


def test_the_context_is_what_dockerignore_lets_through(checkout):
    names = {str(path.relative_to(checkout)) for path in build.context(checkout)}
    assert names == {".dockerignore", "pyproject.toml", "services/hub/Dockerfile"}


def test_without_a_dockerignore_everything_but_our_own_notes_counts(checkout):
    (checkout / ".dockerignore").unlink()
    (checkout / ".slipway").mkdir()
    (checkout / ".slipway/build.json").write_text("{}")
    names = {str(path.relative_to(checkout)) for path in build.context(checkout)}
    assert "README.md" in names
    assert ".slipway/build.json" not in names


def test_the_digest_changes_with_content_with_mode_and_with_arguments_and_with_nothing_else(checkout, plan):
    before = build.digest(checkout, plan)
    (checkout / "README.md").write_text("changed\n")
    (checkout / "services/hub/__pycache__/a.pyc").write_text("1")
    assert build.digest(checkout, plan) == before
    dockerfile = checkout / "services/hub/Dockerfile"
    dockerfile.chmod(0o755)
    executable = build.digest(checkout, plan)
    dockerfile.write_text("FROM y\n")
    changed = build.digest(checkout, plan)
    other = Plan("slipway", (plan.services[0]._replace(build={"args": {"BASE_IMAGE": "other:1"}}),))
    assert len({before, executable, changed, build.digest(checkout, other)}) == 4


@pytest.fixture
def on_a_machine(checkout, monkeypatch):
    """The module looking at the checkout above, with images that the test sets."""
    monkeypatch.setattr(build, "ROOT", checkout)
    monkeypatch.setattr(build, "NOTES", checkout / "build.json")
    monkeypatch.setattr(build, "LOG", checkout / "build.log")
    monkeypatch.setattr(compose, "build", lambda *_: iter(()))
    there: dict[str, str] = {}
    monkeypatch.setattr(engine, "image_ids", lambda names: {n: there[n] for n in names if n in there})
    return there


def test_nothing_is_built_twice_of_the_same_sources(on_a_machine, plan, screen):
    on_a_machine["slipway/hub:dev"] = "sha256:1"
    assert build.is_needed(plan)
    build.run(plan, screen)
    assert not build.is_needed(plan)


@pytest.mark.parametrize(
    "change", ["image gone", "image replaced", "base replaced", "source changed", "notes broken"]
)
def test_a_change_of_source_base_or_image_asks_for_a_build(on_a_machine, plan, checkout, screen, change):
    on_a_machine.update({"slipway/hub:dev": "sha256:1", "debian:trixie-slim": "sha256:2"})
    build.run(plan, screen)
    if change == "image gone":
        del on_a_machine["slipway/hub:dev"]
    elif change == "image replaced":
        on_a_machine["slipway/hub:dev"] = "sha256:9"
    elif change == "base replaced":
        on_a_machine["debian:trixie-slim"] = "sha256:9"
    elif change == "source changed":
        (checkout / "services/hub/new.py").write_text("")
    else:
        (checkout / "build.json").write_text("{")
    assert build.is_needed(plan)


def test_an_image_that_never_came_to_be_is_still_to_be_built(on_a_machine, plan, screen):
    build.run(plan, screen)
    assert build.is_needed(plan)


LINES = """\
#0 building with "default" instance using docker driver
#5 [hub internal] load build definition from Dockerfile
#5 DONE 0.0s
#7 [hub 1/4] FROM slipway-offline/debian:trixie
#7 CACHED
#9 [hub 3/4] RUN pip install   --require-hashes -r /tmp/requirements.txt
#11 [mlflow builder 2/9] COPY services/mlflow /opt
#9 0.412 Collecting jupyterhub
#11 DONE 0.1s
#9 DONE 41.7s
""".splitlines()


def test_steps_that_take_long_are_told_and_short_ones_only_counted():
    steps = build.Steps()
    told = [words for words in map(steps.feed, LINES) if words]
    assert len(told) == 1
    assert "41.7 s" in told[0] and "hub 3/4" in told[0] and "RUN pip install --require-hashes" in told[0]
    assert steps.count == 3


def test_the_step_at_work_is_shown_rather_than_the_one_that_has_just_ended():
    steps = build.Steps()
    for line in LINES[:-1]:
        steps.feed(line)
    assert steps.now.startswith("hub 3/4")


def test_a_failed_build_shows_the_end_of_its_log_and_where_all_of_it_is(monkeypatch, tmp_path, plan, screen):
    log = tmp_path / "build.log"

    def fails(_project, _log):
        log.write_text("#9 ERROR: no matching distribution\n")
        yield from ["#9 [hub 3/4] RUN pip install"]
        raise build.Problem("docker compose build failed")

    monkeypatch.setattr(compose, "build", fails)
    monkeypatch.setattr(build, "LOG", log)
    with pytest.raises(build.Problem) as caught:
        build.run(plan, screen)
    assert "no matching distribution" in caught.value.what
    assert str(log) in caught.value.remedy


def test_a_source_that_changes_while_images_are_built_is_built_again(
    on_a_machine, plan, checkout, screen, monkeypatch
):
    def builds(*_):
        yield "#9 [hub 3/4] COPY services/hub /opt"
        (checkout / "services/hub/late.py").write_text("")

    on_a_machine["slipway/hub:dev"] = "sha256:1"
    monkeypatch.setattr(compose, "build", builds)
    build.run(plan, screen)
    assert build.is_needed(plan)
