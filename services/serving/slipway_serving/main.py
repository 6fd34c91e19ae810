"""Puts the parts together and runs them under uvicorn: the only place where they all meet."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import tenacity
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from .access import Access
from .api import Parts, create_app
from .cache import ModelCache
from .guard import Doors
from .key_feed import KeyFeed
from .keys import Keys
from .logs import set_up_logging
from .metrics import Metrics
from .model import load_model
from .observations import Observations
from .registry import MlflowRegistry
from .runner import Runner
from .settings import Misconfigured, Settings, read_settings
from .shelf import Shelf
from .visitors import Flusher, Visitors
from .visitors_journal import Journals
from .visitors_store import SqlStore
from .watcher import Watcher

log = logging.getLogger(__name__)


def build(settings: Settings) -> FastAPI:
    """The whole server, not yet started; raises Misconfigured where the cache's folder cannot be used."""
    metrics = Metrics()
    shelf = Shelf()
    try:
        cache = ModelCache(settings.cache_dir)
    except OSError as error:
        raise Misconfigured(f"SERVING_CACHE_DIR: {settings.cache_dir} cannot be written: {error}.") from None
    store = SqlStore(settings.database)
    visitors = Visitors(store, Journals(settings.cache_dir / "visitors"))
    observations = Observations(metrics, visitors)
    keys = Keys()
    key_feed = KeyFeed(settings.keys_url, settings.cache_dir, keys, settings.keys_poll_seconds)
    doors = Doors(keys, settings.gateway_secret.get_secret_value(), settings.reader_token.get_secret_value())
    watcher = Watcher(
        registry=MlflowRegistry(
            settings.mlflow_tracking_uri, settings.mlflow_reader_token.get_secret_value()
        ),
        cache=cache,
        load=partial(
            load_model,
            max_rows=settings.max_rows,
            prepare_seconds=settings.prepare_seconds,
            threads=settings.threads,
        ),
        shelf=shelf,
        poll_seconds=settings.poll_seconds,
        wait=tenacity.wait_exponential(multiplier=settings.retry_seconds, max=settings.retry_max_seconds),
        on_failure=observations.load_failed,
    )
    flusher = Flusher(visitors, settings.flush_seconds)
    runner = Runner(settings.workers, settings.max_pending, on_batch=observations.batch)
    metrics.observe_state(
        shelf,
        lambda: watcher.look,
        lambda: visitors.store_error is None,
        lambda: runner.pending,
        lambda: key_feed.state,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        flusher.start()
        key_feed.start()
        watcher.start()
        log.info("started", extra={"registry": settings.mlflow_tracking_uri, "workers": settings.workers})
        yield
        # uvicorn comes here after the last answer: what was counted until now is still written.
        await run_in_threadpool(watcher.stop)
        await run_in_threadpool(key_feed.stop)
        await run_in_threadpool(flusher.stop)
        runner.close()
        visitors.close()
        store.close()
        log.info("stopped")

    parts = Parts(
        shelf,
        watcher,
        runner,
        visitors,
        metrics,
        observations,
        doors,
        key_feed,
        settings.default_model,
        settings.max_body_bytes,
    )
    return create_app(parts, lifespan)


def main() -> int:
    try:
        settings = read_settings()
        set_up_logging(settings.log_level)
        app = build(settings)
    except (Misconfigured, ValueError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings.log_level)  # again, now that MLflow has been imported and set up its own
    uvicorn.run(
        Access(app, settings.access_log),
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path.rstrip("/"),
        log_config=None,
        access_log=False,  # Access writes it, with who asked
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    return 0
