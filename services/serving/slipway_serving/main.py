"""Puts the parts together and runs them under uvicorn: the only place where they all meet."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import tenacity
import uvicorn
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from .access import Access
from .api import Parts, create_app
from .cache import ModelCache
from .connections import Connection
from .guard import Doors
from .key_feed import KeyFeed
from .keys import Keys
from .limits import Limits
from .logs import set_up_logging
from .metrics import Metrics, Sources
from .observations import Observations
from .prediction_files import destination_of
from .prediction_log import PredictionLog
from .preparing import Preparer
from .registry import MlflowRegistry
from .runner import Runner
from .settings import Misconfigured, Settings, read_settings
from .shadow import Shadows
from .shelf import Shelf
from .starting import until_settled
from .stopping import Server, Stopping
from .visitors import Flusher, Visitors
from .visitors_journal import Journals
from .visitors_store import SqlStore
from .watcher import Watcher
from .workshop import Workshop

log = logging.getLogger(__name__)


def build(settings: Settings, stopping: Stopping, others: Callable[[], bool]) -> FastAPI:
    """The whole server, not yet started; raises Misconfigured where the cache's folder cannot be used.

    others: whether more than one request has come and is not answered.
    """
    metrics = Metrics()
    shelf = Shelf()
    try:
        cache = ModelCache(settings.cache_dir)
    except OSError as error:
        raise Misconfigured(f"SERVING_CACHE_DIR: {settings.cache_dir} cannot be written: {error}.") from None
    store = SqlStore(settings.database)
    visitors = Visitors(store, Journals(settings.cache_dir / "visitors"))
    prediction_log = _prediction_log(settings)
    observations = Observations(metrics, visitors, prediction_log=prediction_log)
    keys = Keys()
    key_feed = KeyFeed(settings.keys_url, settings.cache_dir, keys, settings.keys_poll_seconds)
    doors = Doors(keys, settings.gateway_secret.get_secret_value(), settings.reader_token.get_secret_value())
    registry = MlflowRegistry(settings.mlflow_tracking_uri, settings.mlflow_reader_token.get_secret_value())
    preparer = Preparer(settings.prepare_seconds, settings.threads, settings.max_rows)
    watcher = Watcher(
        registry=registry,
        cache=cache,
        maker=Workshop(registry, cache, preparer, settings.max_rows, settings.threads),
        shelf=shelf,
        poll_seconds=settings.poll_seconds,
        wait=tenacity.wait_exponential(multiplier=settings.retry_seconds, max=settings.retry_max_seconds),
        on_failure=observations.load_failed,
        max_versions=settings.max_versions,
    )
    flusher = Flusher(visitors, settings.flush_seconds)
    runner = Runner(
        settings.workers,
        settings.max_pending,
        request_seconds=settings.request_seconds,
        on_batch=observations.batch,
        others=others,
    )
    shadows = Shadows(observations.compared)
    metrics.observe_state(
        Sources(
            shelf,
            look=lambda: watcher.look,
            database_ok=lambda: visitors.store_error is None,
            pending=lambda: runner.pending,
            keys=lambda: key_feed.state,
            stuck=runner.stuck,
            prediction_log=prediction_log,
        )
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        flusher.start()
        if prediction_log:
            prediction_log.start()
        key_feed.start()
        watcher.start()
        await until_settled(shelf, lambda: watcher.look, settings.start_seconds, stopping)
        log.info("started", extra={"registry": settings.mlflow_tracking_uri, "workers": settings.workers})
        yield
        # uvicorn comes here after the last answer: what was counted until now is still written.
        await run_in_threadpool(watcher.stop)
        await run_in_threadpool(key_feed.stop)
        await run_in_threadpool(flusher.stop)
        if prediction_log:
            await run_in_threadpool(prediction_log.stop)
        shadows.close()
        if not runner.close():
            log.warning("a model still hangs", extra={"calls": runner.stuck()})
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
        shadows,
        settings.default_model,
        Limits(settings.max_body_bytes, settings.max_pending_per_caller, settings.body_seconds),
        stopping,
    )
    return create_app(parts, lifespan)


def _prediction_log(settings: Settings) -> PredictionLog | None:
    if not settings.log_share:
        return None
    return PredictionLog(
        destination_of(settings),
        settings.log_share,
        rows_per_second=settings.log_rows_per_second,
        flush_seconds=settings.log_flush_seconds,
    )


def main() -> int:
    try:
        settings = read_settings()
        set_up_logging(settings.log_level)
        stopping, tasks = Stopping(), set[asyncio.Task]()
        app = build(settings, stopping, lambda: len(tasks) > 1)
    except (Misconfigured, ValueError) as error:
        print(f"serving: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings.log_level)  # again, now that MLflow has been imported and set up its own
    config = uvicorn.Config(
        Access(app, settings.access_log),
        host=settings.host,
        port=settings.port,
        root_path=settings.root_path.rstrip("/"),
        log_config=None,
        access_log=False,  # Access writes it, with who asked
        server_header=False,
        http=partial(Connection, unread_seconds=settings.body_seconds),  # type: ignore[arg-type]
        ws="none",
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    # A body of many rows is many small objects, which are no garbage yet: the default looks after each 700.
    gc.set_threshold(20_000, 20, 20)
    server = Server(config, stopping, settings.drain_seconds)
    server.server_state.tasks = tasks  # one for each request, from the moment its head was read
    with suppress(KeyboardInterrupt):
        server.run()
    return 0
