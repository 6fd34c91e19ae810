"""When the offline images are built, and what of them goes into .env."""

from __future__ import annotations

import pytest

from infra.launcher import images
from infra.launcher.problem import Problem
from infra.launcher.settings import settings_of

BUILT = {
    "COMPOSE_FILE": "compose.yaml:infra/offline/compose.yaml",
    "BASE_IMAGE": "slipway-offline/debian:trixie",
    "POSTGRES_IMAGE": "slipway-offline/postgres:17",
}


@pytest.fixture
def registries(monkeypatch):
    """Which images' registries answer; asking is noted."""
    answers: dict[str, bool] = {}
    asked = []

    def ask(name):
        asked.append(name)
        return answers.get(name, False)

    monkeypatch.setattr(images, "registry_reachable", ask)
    return answers, asked


def test_no_registry_is_asked_when_every_image_is_here(registries, screen):
    assert images.go_offline(settings_of({}), [], None, screen) is False
    assert registries[1] == []


def test_a_registry_that_answers_means_pulling(registries, screen):
    registries[0]["postgres:17.7"] = True
    assert images.go_offline(settings_of({}), ["postgres:17.7"], None, screen) is False


def test_one_registry_that_does_not_answer_means_building_and_is_told(registries, screen, said):
    registries[0]["postgres:17.7"] = True
    assert images.go_offline(settings_of({}), ["postgres:17.7", "pgsty/silo:1"], None, screen) is True
    assert "pgsty/silo:1" in said()


def test_a_machine_that_was_offline_builds_again_without_asking(registries, screen):
    chosen = settings_of({}, {"BASE_IMAGE": "slipway-offline/debian:trixie"})
    assert images.go_offline(chosen, ["slipway-offline/postgres:17"], None, screen) is True
    assert registries[1] == []


@pytest.mark.parametrize("forced", [True, False])
def test_the_person_who_says_which_is_not_doubted(registries, screen, forced):
    assert images.go_offline(settings_of({}), ["postgres:17.7"], forced, screen) is forced
    assert registries[1] == []


def test_what_the_operator_chose_is_left_to_the_operator():
    written = images.to_write(BUILT, "POSTGRES_IMAGE=registry.example.com/postgres:17\n", {})
    assert set(written) == {"COMPOSE_FILE", "BASE_IMAGE"}


def test_a_compose_file_of_the_operators_must_name_the_offline_override():
    mine = "compose.yaml:mine.yaml"
    with pytest.raises(Problem, match=r"infra/offline/compose\.yaml") as caught:
        images.to_write(BUILT, f"COMPOSE_FILE={mine}\n", {"COMPOSE_FILE": mine})
    assert "COMPOSE_FILE=compose.yaml:infra/offline/compose.yaml" in caught.value.remedy
    both = "compose.yaml:infra/offline/compose.yaml:mine.yaml"
    assert "COMPOSE_FILE" not in images.to_write(BUILT, f"COMPOSE_FILE={both}\n", {"COMPOSE_FILE": both})


def test_a_pull_that_fails_names_the_image_and_the_ways_on(monkeypatch, screen):
    monkeypatch.setattr(images.engine, "docker", lambda *_, **__: images.engine.Answer(1, "", "no such host"))
    with pytest.raises(Problem, match=r"postgres:17\.7 could not be pulled: no such host") as caught:
        images.pull(["postgres:17.7"], screen)
    assert "--offline" in caught.value.remedy
