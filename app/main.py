"""The composition root: which parts there are, and how an app is made of them."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig

from app import __version__
from app.allocator import bound_memory
from app.api import (
    classify,
    contents,
    embeddings,
    failures,
    feedback,
    health,
    hugging_face,
    labels,
    metrics,
    mv_retrieval,
    pantry,
    process_image,
    teaching,
)
from app.api.admission import AdmissionMiddleware
from app.api.dependencies import Service, State
from app.api.requests import OPEN_PATHS, BodyMiddleware, KeyMiddleware, RequestMiddleware
from app.bundle import Bundle, Calibration, find_bundle, open_bundle
from app.classifier import Classifier
from app.contents import ContentStore, VectorModel
from app.contents.local import LocalContents
from app.contents.none import NoContents
from app.encoder import Encoder
from app.engines import Engine
from app.engines.choice import open_engine
from app.errors import EngineError, LarderError
from app.feedback import Answers, Feedback
from app.images import ImageLimits, thumbnail
from app.keys import Keys
from app.label_file import open_labels
from app.log import configure, get_logger
from app.metrics import Metrics
from app.pantry import PantryStore
from app.pantry.none import NoPantry
from app.pantry.sqlite import SQLitePantry
from app.pipeline import PROMPTS_KEPT, blank, open_pipeline
from app.preprocess import ImageForm
from app.prompt_cache import PromptCache
from app.recognition import Recogniser
from app.remote_bundle import fetch_bundle
from app.request_labels import TextLimits
from app.s3 import S3, SCHEME, parse_place
from app.settings import Settings, read_settings, traced
from app.taught import Likeness
from app.tracing import open_tracing
from app.vocabulary import LabelSet, Vocabulary, read_prompts

if TYPE_CHECKING:
    from app.engines.original import OpenedOriginal

FEEDBACK = "feedback.sqlite"  # in the data folder
LOOK_EVERY = 0.1  # seconds between looks at the label file and the pantry

TELEMETRY = TelemetryConfig(metrics=False, logs=False, operation_spans=False)  # traces alone are FastAPI's
CORS: dict[str, Any] = {
    "allow_methods": ["GET", "POST", "PUT", "DELETE"],
    "allow_headers": [
        "Authorization",
        "Content-Type",
        "Idempotency-Key",
        "X-API-Key",
        "X-Request-ID",
        "X-Request-Timeout",
    ],
    "expose_headers": ["Retry-After", "X-Request-ID"],
}
DESCRIPTION = "Larder recognises what is in a picture, says how sure it is, and keeps the pantry's counts."


@dataclass(frozen=True)
class Model:
    """What the service needs to know of a model."""

    name: str
    encoder: Encoder
    form: ImageForm
    logit_scale: float
    known_margin: float | None
    label_cosine: float | None
    context_length: int
    count_tokens: Callable[[str], int]
    temperature: float | None
    checksum: str
    likeness: Likeness | None = None

    @property
    def vectors(self) -> VectorModel:
        """What names its vectors."""
        return VectorModel(self.name, self.checksum, self.encoder.size)


def open_model(settings: Settings) -> Model:
    """The model that the settings name; raises BundleError, EngineError, or ExportError for one of open_clip's."""
    if settings.model.startswith("open_clip:"):
        if settings.engine not in ("auto", "torch"):
            raise EngineError(f"{settings.engine} runs bundles; {settings.model} needs LARDER_ENGINE=torch or auto")
        from app.engines.original import open_original  # torch is imported by those alone who ask for it

        original = open_original(settings.model, settings.threads)
        return _model(settings, original, original.engine)
    bundle = open_bundle(bundle_folder(settings))
    return _model(settings, bundle, open_engine(settings.engine, bundle, settings.threads, settings.data))


def bundle_folder(settings: Settings) -> Path:
    """The folder of the bundle that the settings name, fetched first where it is in S3; raises BundleError."""
    if settings.model.startswith(SCHEME):
        return fetch_bundle(S3(), parse_place(settings.model), settings.data / "models")
    return find_bundle(settings.model)


def _model(settings: Settings, source: "Bundle | OpenedOriginal", engine: Engine) -> Model:
    config = source.config
    cache = PromptCache(settings.data / "prompts.sqlite", f"{source.checksum} {engine.name}", settings.prompt_cache)
    get_logger().info("model", name=config.name, engine=engine.name, threads=settings.threads)
    return Model(
        name=config.name,
        encoder=Encoder(source.tokenize, engine, config.embedding_size, cache),
        form=config.image_form,
        logit_scale=config.logit_scale,
        known_margin=config.calibration.known_margin if config.calibration else None,
        label_cosine=config.calibration.label_cosine if config.calibration else None,
        context_length=config.context_length,
        count_tokens=lru_cache(PROMPTS_KEPT)(source.count_tokens),
        temperature=config.calibration.temperature if config.calibration else None,
        checksum=source.checksum,
        likeness=_likeness(config.calibration),
    )


def _likeness(calibration: Calibration | None) -> Likeness | None:
    """How the model's pictures are compared with examples, as far as that was fitted."""
    if calibration is None:
        return None
    mean = calibration.picture_mean
    return Likeness(calibration.example_scale, None if mean is None else np.array(mean, np.float32))


def open_pantry(settings: Settings) -> PantryStore:
    """The pantry that the settings name; raises StoreUnavailable."""
    if settings.pantry == "none":
        return NoPantry()
    if settings.pantry == "sqlite":
        return SQLitePantry(settings.data / "pantry.sqlite")
    from app.pantry.firestore.store import open_firestore  # Google's libraries take a while to import

    return open_firestore(settings)


def open_contents(settings: Settings, model: Model) -> ContentStore:
    """The contents that the settings name; raises StoreUnavailable, or ContentsError for another model's."""
    if settings.contents == "none":
        return NoContents()
    if settings.contents == "faiss":
        return LocalContents(settings.data / "contents.sqlite", model.vectors, settings.threads)
    from app.contents.milvus import open_milvus  # an optional requirement

    return open_milvus(settings.contents, model.vectors)


def open_vocabulary(settings: Settings, model: Model, store: PantryStore) -> Vocabulary:
    """The live label set, not yet encoded; raises InvalidLabels for the templates, StartError for the label file."""
    templates = read_prompts(settings.templates)
    return Vocabulary(
        open_labels(settings.labels),
        templates,
        store,
        model.encoder,
        settings.max_label_length,
        model.checksum,
        model.likeness,
    )


def open_recogniser(settings: Settings, model: Model, current: Callable[[], LabelSet | None]) -> Recogniser:
    """The recogniser over a label set; encodes the background prompts."""
    background = model.encoder.prompts(read_prompts(settings.background))
    return Recogniser(current, background, model.logit_scale, model.known_margin, model.temperature)


def open_classifier(settings: Settings, model: Model) -> Classifier:
    """The classifier of labels that come with requests; encodes the background prompts."""
    background = model.encoder.prompts(read_prompts(settings.background))
    return Classifier(background, model.logit_scale, model.label_cosine, model.known_margin)


def image_limits(settings: Settings) -> ImageLimits:
    """The settings' limits for one picture."""
    return ImageLimits(settings.max_body, settings.max_pixels, settings.formats)


def text_limits(settings: Settings, model: Model) -> TextLimits:
    """The limits for the texts of one request."""
    return TextLimits(settings.max_labels, settings.max_label_length, model.context_length, model.count_tokens)


def _not_traced(scope: MutableMapping[str, Any]) -> bool:
    return scope["type"] == "http" and scope["path"] in OPEN_PATHS


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[State]]


def create_app(
    settings: Settings | None = None, model: Model | None = None, store: PantryStore | None = None
) -> FastAPI:
    """The app, from the environment's settings unless others are given, with its model opened already.

    Raises SystemExit with one line when a setting, the bundle, the labels or the pantry cannot be used.
    """
    try:
        settings = settings or read_settings()
        configure(settings.log_level)
        bound_memory()
        keys = Keys([key.get_secret_value() for key in settings.api_keys], settings.api_keys_file)
        tracing = open_tracing(__version__) if traced() else None
        model = model or open_model(settings)
        store = store or open_pantry(settings)
        vocabulary = open_vocabulary(settings, model, store)
        recogniser = open_recogniser(settings, model, lambda: vocabulary.current)
        classifier = open_classifier(settings, model)
        kept = open_contents(settings, model)
    except LarderError as error:
        raise SystemExit(f"larder cannot start: {error}") from error
    numbers = Metrics()
    numbers.model(model.name, __version__)
    app = FastAPI(
        title="Larder",
        version=__version__,
        description=DESCRIPTION,
        responses=failures.ANYWHERE,
        lifespan=_lifespan(settings, model, store, kept, vocabulary, recogniser, classifier, numbers, keys),
        telemetry=TELEMETRY | {"tracing": bool(tracing), "exclude": _not_traced},
    )
    recognition = (process_image, classify, embeddings, hugging_face)
    for routes in (health, *recognition, labels, pantry, teaching, feedback, contents, mv_retrieval, metrics):
        app.include_router(routes.router)
    failures.add_handlers(app)
    # the last one added is the outermost
    app.add_middleware(BodyMiddleware, most=settings.max_body)
    app.add_middleware(AdmissionMiddleware, most=settings.max_queue, most_bytes=settings.max_queue_bytes)
    app.add_middleware(KeyMiddleware, keys=keys)
    if settings.cors:
        app.add_middleware(CORSMiddleware, allow_origins=settings.cors, **CORS)
    app.add_middleware(RequestMiddleware, metrics=numbers)
    return app


def _lifespan(
    settings: Settings,
    model: Model,
    store: PantryStore,
    contents: ContentStore,
    vocabulary: Vocabulary,
    recogniser: Recogniser,
    classifier: Classifier,
    numbers: Metrics,
    keys: Keys,
) -> Lifespan:
    """What runs as long as the app does: the pipeline, and the look-out for changed labels."""
    pipeline = open_pipeline(
        model.encoder,
        model.form,
        image_limits(settings),
        numbers,
        threads=settings.threads,
        max_batch=settings.max_batch,
        max_queue=settings.max_queue,
    )

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[State]:
        async with pipeline as running:
            service = Service(
                model=model.name,
                checksum=model.checksum,
                pipeline=running,
                recogniser=recogniser,
                classifier=classifier,
                limits=text_limits(settings, model),
                embedding_size=model.encoder.size,
                pantry=store,
                blank=blank(model.form),
                contents=contents,
                thumbnail=partial(thumbnail, limits=image_limits(settings)),
                keep_pictures=settings.keep_pictures,
                answers=Answers(),
                feedback=Feedback(settings.data / FEEDBACK),
                metrics=numbers,
            )
            numbers.labels.set_function(lambda: len(vocabulary.current.labels) if vocabulary.current else 0)
            numbers.pantry_age.set_function(lambda: store.status().age_s)
            numbers.contents.set_function(lambda: _count(contents))
            app.state.service = service  # for `serve`, which tells it to drain
            looking = [
                asyncio.create_task(_keep_current("labels", vocabulary.refresh, lambda: _facts(vocabulary))),
                asyncio.create_task(_keep_current("keys", keys.refresh, dict)),
            ]
            try:
                yield {"service": service}
            finally:
                service.draining = True
                for look in looking:
                    look.cancel()
                await asyncio.gather(*looking, return_exceptions=True)
        store.close()
        contents.close()

    return lifespan


def _count(contents: ContentStore) -> float:
    """How many contents there are; not a number where none are kept, or the store is away."""
    try:
        return contents.count()
    except LarderError:
        return math.nan


def _facts(vocabulary: Vocabulary) -> dict[str, object]:
    current = vocabulary.current
    return {"count": len(current.labels), "version": current.version} if current else {}


async def _keep_current(what: str, refresh: Callable[[], bool], facts: Callable[[], dict[str, object]]) -> None:
    """Refresh for ever; a change is logged with its facts, what goes wrong once, and what is served stays as it was."""
    log, last = get_logger(), None
    while True:
        try:
            if await asyncio.to_thread(refresh):
                log.info(what, **facts())
            last = None
        except Exception as error:  # the look-out must outlive whatever a file or a pantry does
            if str(error) != last:
                log.exception(f"the {what} cannot be brought up to date")
            last = str(error)
        await asyncio.sleep(LOOK_EVERY)
