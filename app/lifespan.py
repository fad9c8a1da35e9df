"""The app's lifespan: the pipeline, and background refresh of labels, API keys, the content index and gauges."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from app.api.dependencies import Service, State
from app.components import FEEDBACK, REVIEW, Components, open_preparer, text_limits
from app.contents import ContentStore
from app.contents.duplicates import DISTANCES
from app.errors import LarderError
from app.events.hub import Follower, Hub
from app.log import get_logger
from app.metrics import Metrics
from app.recognition.vocabulary import Vocabulary
from app.serving.feedback import Answers, Feedback
from app.serving.image_fetcher import ImageFetcher
from app.serving.jobs import Jobs
from app.serving.keys import Keys
from app.serving.pipeline import Pipeline, open_pipeline
from app.serving.review import ReviewQueue
from app.serving.threaded_store import ThreadedStore
from app.serving.url_policy import UrlPolicy
from app.settings import Settings

POLL_INTERVAL_S = 0.1  # of the label file, the pantry and the contents
FLUSH_INTERVAL_S = 1.0  # of the review queue: a flush takes 8 ms of processor time with 500 entries
COUNT_INTERVAL_S = 5.0  # of the contents, for the metrics

FAREWELL_S = 3.0  # for sending the last events at shutdown

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]


def lifespan_of(
    settings: Settings, components: Components, metrics: Metrics, keys: Keys, followers: Sequence[Follower] = ()
) -> Lifespan:
    """Return a lifespan for FastAPI; at its end, pending requests are answered and the stores closed."""
    pipeline = open_pipeline(
        components.model.encoder,
        open_preparer(settings, components.model),
        metrics,
        threads=settings.threads,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with pipeline as running:
            service = _service(settings, components, metrics, running)
            _set_gauges(metrics, components, service.events)
            components.pantry.listeners.append(service.events.publish_change)
            app.state.service = service  # for `serve`, which drains it
            refresh_tasks = _start_refreshing(components, keys, service)
            following = [asyncio.create_task(_follow(each, service.events)) for each in followers]
            try:
                yield {"service": service}
            finally:
                service.drain()
                components.pantry.listeners.remove(service.events.publish_change)
                service.events.close()
                if following:
                    await asyncio.wait(following, timeout=FAREWELL_S)
                for task in (*refresh_tasks, *following):
                    task.cancel()
                await asyncio.gather(*refresh_tasks, *following, return_exceptions=True)
                await asyncio.to_thread(service.jobs.close)
        for store in (service.pantry, service.contents, service.feedback, service.review):
            store.close()

    return lifespan


def _start_refreshing(components: Components, keys: Keys, service: Service) -> list[asyncio.Task[None]]:
    vocabulary, contents = components.vocabulary, components.contents
    endless = [
        _poll("labels", vocabulary.refresh, lambda: _facts(vocabulary)),
        _poll("keys", keys.refresh, dict),
        _poll("contents", contents.refresh, dict),
        _poll("review queue", service.review.store.flush, dict, FLUSH_INTERVAL_S),
        _count_contents(service.metrics, contents),
    ]
    return [asyncio.create_task(each) for each in endless]


def _service(settings: Settings, components: Components, metrics: Metrics, pipeline: Pipeline) -> Service:
    model = components.model
    feedback = Feedback(settings.data / FEEDBACK, max_bytes=settings.max_store)
    review = ReviewQueue(
        settings.data / REVIEW,
        model.checksum,
        most=settings.review,
        same_scene=DISTANCES["scene"].cosine,
        max_bytes=settings.max_store,
    )
    return Service(
        settings=settings,
        model=model.vectors,
        scope=model.config.scope,
        pipeline=pipeline,
        image_fetcher=ImageFetcher(
            UrlPolicy(settings.image_urls), max_bytes=settings.max_body, max_bytes_in_progress=settings.max_queue_bytes
        ),
        recogniser=components.recogniser,
        classifier=components.classifier,
        limits=text_limits(settings, model),
        pantry=ThreadedStore("the pantry", components.pantry),
        contents=ThreadedStore("the contents", components.contents),
        feedback=ThreadedStore("the feedback", feedback, threads=4),
        review=ThreadedStore("the review queue", review, threads=4),
        answers=Answers(),
        jobs=Jobs(),
        metrics=metrics,
        events=Hub(),
    )


def _set_gauges(metrics: Metrics, components: Components, events: Hub) -> None:
    """Set gauges that are read from memory at each scrape."""
    vocabulary = components.vocabulary
    metrics.labels.set_function(lambda: len(vocabulary.current.labels) if vocabulary.current else 0)
    metrics.pantry_age.set_function(lambda: components.pantry.status().age_s)
    metrics.listeners.set_function(lambda: events.listeners)


async def _follow(follower: Follower, events: Hub) -> None:
    """Run a follower; its failure affects no request."""
    try:
        await follower.run(events)
    except Exception:
        get_logger().exception("events are not told any more until the next start", follower=type(follower).__name__)


async def _count_contents(metrics: Metrics, contents: ContentStore) -> None:
    """Count the entries periodically: `/metrics` must not wait for a store."""
    while True:
        metrics.contents.set(await asyncio.to_thread(_count, contents))
        await asyncio.sleep(COUNT_INTERVAL_S)


def _count(contents: ContentStore) -> float:
    """Return the number of entries; NaN if none are stored or the store is unavailable."""
    try:
        return contents.count()
    except LarderError:
        return math.nan


def _facts(vocabulary: Vocabulary) -> dict[str, object]:
    current = vocabulary.current
    return {"count": len(current.labels), "version": current.version} if current else {}


async def _poll(
    what: str,
    refresh: Callable[[], bool | None],
    facts: Callable[[], dict[str, object]],
    interval_s: float = POLL_INTERVAL_S,
) -> None:
    """Poll until cancelled. Log each change and each distinct error once; keep serving the last good value."""
    log, last = get_logger(), None
    while True:
        try:
            if await asyncio.to_thread(refresh):
                log.info(what, **facts())
            last = None
        except Exception as error:  # polling must survive any failure of a file or store
            if str(error) != last:
                expected = isinstance(error, LarderError)  # its message is enough
                log.error(f"cannot refresh the {what}", reason=str(error), exc_info=not expected)
            last = str(error)
        await asyncio.sleep(interval_s)
