"""Containers and services as the engine and Compose describe them, made to measure."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from infra.launcher.compose import Service
from infra.launcher.engine import Container
from infra.launcher.progress import Screen


@pytest.fixture
def make_container() -> Callable[..., Container]:
    def make(service: str = "web", **facts: object) -> Container:
        usual = {
            "id": f"id-{service}",
            "name": f"slipway-{service}-1",
            "state": "running",
            "health": "",
            "exit_code": 0,
            "restarts": 0,
            "started_at": "2026-11-24T07:00:00.123456789Z",
            "finished_at": "0001-01-01T00:00:00Z",
            "image": f"slipway/{service}:dev",
            "image_id": f"sha256:{service}",
            "config_hash": f"hash-{service}",
            "ports": {},
            "labels": {},
            "error": "",
        }
        return Container(service=service, **{**usual, **facts})

    return make


@pytest.fixture
def make_service() -> Callable[..., Service]:
    def make(name: str = "web", **facts: object) -> Service:
        usual = {"image": f"slipway/{name}:dev", "is_job": False, "build": None, "ports": ()}
        return Service(name=name, **{**usual, **facts})

    return make


@pytest.fixture
def screen() -> Screen:
    """A screen that is no terminal."""
    return Screen(io.StringIO())


@pytest.fixture
def said(screen) -> Callable[[], str]:
    """Everything said on the screen so far."""
    return screen.stream.getvalue
