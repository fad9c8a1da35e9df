"""Dependencies of routes: the running service as `ServiceDep`, and the `Idempotency-Key` as `KeyHeader`."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

from fastapi import Depends, Header, Request

from app.contents import ContentStore, VectorModel
from app.errors import NotFound, Starting
from app.events.hub import Hub
from app.metrics import Metrics
from app.pantry import Key, PantryStore
from app.pantry.journal import Origin, acting_as
from app.recognition.classifier import Classifier
from app.recognition.request_labels import TextLimits
from app.recognition.zero_shot import Recogniser
from app.serving.feedback import Answers, Feedback
from app.serving.image_fetcher import ImageFetcher
from app.serving.jobs import Jobs
from app.serving.pipeline import Pipeline
from app.serving.review import ReviewQueue
from app.serving.threaded_store import ThreadedStore
from app.settings import Settings
from app.tracing import span


@dataclass
class Service:
    """The running service: objects with the app's lifetime.

    Stores block, so routes call them in threads: `await service.pantry.read(lambda pantry: pantry.get(name))`.
    """

    settings: Settings
    model: VectorModel
    scope: str | None
    """What the model knows, in a sentence."""
    pipeline: Pipeline
    image_fetcher: ImageFetcher
    recogniser: Recogniser
    classifier: Classifier
    limits: TextLimits
    pantry: ThreadedStore[PantryStore]
    contents: ThreadedStore[ContentStore]
    feedback: ThreadedStore[Feedback]
    review: ThreadedStore[ReviewQueue]
    answers: Answers
    jobs: Jobs
    metrics: Metrics
    events: Hub
    draining: bool = False

    @property
    def starting(self) -> bool:
        """True while the first labels are being encoded."""
        try:
            _ = self.recogniser.label_set
        except Starting:
            return True
        return False

    def drain(self) -> None:
        """Refuse new requests, and end the streams of events."""
        self.draining = True
        self.events.wake()

    @contextmanager
    def ranking(self) -> Iterator[None]:
        """Time the block as the stage "rank" in metrics and traces."""
        start = time.perf_counter()
        with span("rank"):
            yield
        self.metrics.stage("rank", time.perf_counter() - start)

    def check_model(self, name: str) -> None:
        """Raise NotFound for any name but the served model's."""
        if name != self.model.name:
            raise NotFound(f"there is no model {name[:100]!r} here; {self.model.name!r} is served")


class State(TypedDict):
    """The app's lifespan state."""

    service: Service


async def _service(request: Request) -> Service:
    """Return the service; a coroutine, because FastAPI runs plain functions in threads."""
    service: Service = request.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]

Phase = Literal["ready", "starting", "draining", "failing"]


KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern="^[!-~]+$",
        description="a unique name for this change, such as a UUID: a request that is repeated with it within a day "
        "is applied once, and each repetition gets the first answer's counts",
    ),
]


_caller: ContextVar[str] = ContextVar("caller", default="")


@contextmanager
def acting_for(api_key: bytes, name: str, request_id: str) -> Iterator[None]:
    """Set the caller for idempotency keys and the journal: the holder of this API key, empty without keys."""
    token = _caller.set(hashlib.sha256(api_key).hexdigest()[:16] if api_key else "")
    try:
        with acting_as(Origin(name, request_id)):
            yield
    finally:
        _caller.reset(token)


def idempotency_key(header: str | None, request: str) -> Key | None:
    """Return the idempotency key of a change, None if the caller sent none; `request` identifies the request."""
    return Key(header, hashlib.sha256(request.encode()).hexdigest(), _caller.get()) if header else None
