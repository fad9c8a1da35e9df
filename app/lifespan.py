"""What runs as long as the app does: the pipeline, and the look-out for changed labels, keys and contents."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app.api.dependencies import Service, State
from app.components import FEEDBACK, Parts, image_limits, text_limits
from app.contents import ContentStore
from app.errors import LarderError
from app.images.decode import thumbnail
from app.log import get_logger
from app.metrics import Metrics
from app.recognition.vocabulary import Vocabulary
from app.serving.feedback import Answers, Feedback
from app.serving.keys import Keys
from app.serving.pipeline import Pipeline, blank, open_pipeline
from app.settings import Settings

LOOK_EVERY = 0.1  # seconds between looks at the label file, the pantry and the contents

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]


def lifespan_of(settings: Settings, parts: Parts, numbers: Metrics, keys: Keys) -> Lifespan:
    """A lifespan for FastAPI; at its end who waits is answered, and the stores are closed."""
    pipeline = open_pipeline(
        parts.model.encoder,
        parts.model.form,
        image_limits(settings),
        numbers,
        threads=settings.threads,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with pipeline as running:
            service = _service(settings, parts, numbers, running)
            _count_what_is_there(numbers, parts)
            app.state.service = service  # for `serve`, which tells it to drain
            vocabulary = parts.vocabulary
            looking = [
                asyncio.create_task(_keep_current("labels", vocabulary.refresh, lambda: _facts(vocabulary))),
                asyncio.create_task(_keep_current("keys", keys.refresh, dict)),
                asyncio.create_task(_keep_current("contents", parts.contents.refresh, dict)),
            ]
            try:
                yield {"service": service}
            finally:
                service.draining = True
                for look in looking:
                    look.cancel()
                await asyncio.gather(*looking, return_exceptions=True)
        parts.pantry.close()
        parts.contents.close()

    return lifespan


def _service(settings: Settings, parts: Parts, numbers: Metrics, pipeline: Pipeline) -> Service:
    model = parts.model
    return Service(
        model=model.name,
        checksum=model.checksum,
        pipeline=pipeline,
        recogniser=parts.recogniser,
        classifier=parts.classifier,
        limits=text_limits(settings, model),
        embedding_size=model.encoder.size,
        pantry=parts.pantry,
        blank=blank(model.form),
        contents=parts.contents,
        thumbnail=partial(thumbnail, limits=image_limits(settings)),
        keep_pictures=settings.keep_pictures,
        answers=Answers(),
        feedback=Feedback(settings.data / FEEDBACK),
        metrics=numbers,
    )


def _count_what_is_there(numbers: Metrics, parts: Parts) -> None:
    vocabulary = parts.vocabulary
    numbers.labels.set_function(lambda: len(vocabulary.current.labels) if vocabulary.current else 0)
    numbers.pantry_age.set_function(lambda: parts.pantry.status().age_s)
    numbers.contents.set_function(lambda: _count(parts.contents))


def _count(contents: ContentStore) -> float:
    """How many contents there are; not a number where none are kept, or the store is away."""
    try:
        return contents.count()
    except LarderError:
        return math.nan


def _facts(vocabulary: Vocabulary) -> dict[str, object]:
    current = vocabulary.current
    return {"count": len(current.labels), "version": current.version} if current else {}


async def _keep_current(what: str, refresh: Callable[[], bool | None], facts: Callable[[], dict[str, object]]) -> None:
    """Refresh for ever; a change is logged, where it is told of, what goes wrong once, and what is served stays."""
    log, last = get_logger(), None
    while True:
        try:
            if await asyncio.to_thread(refresh):
                log.info(what, **facts())
            last = None
        except Exception as error:  # the look-out must outlive whatever a file or a pantry does
            if str(error) != last:
                ours = isinstance(error, LarderError)  # foreseen: its message is enough
                log.error(f"the {what} cannot be brought up to date", reason=str(error), exc_info=not ours)
            last = str(error)
        await asyncio.sleep(LOOK_EVERY)
