"""Open the components that the settings name: model, stores, vocabulary, recogniser. Only this module chooses them."""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.contents import ContentStore, NoContents, VectorModel
from app.contents.local import LocalContents
from app.errors import EngineError, naming
from app.events.hub import Follower
from app.events.webhooks import open_webhooks
from app.images.header import ImageLimits
from app.images.prepare import Preparer
from app.images.resize import LIBRARY
from app.log import get_logger
from app.metrics import Metrics
from app.model.bundle import Bundle, BundleConfig, find_bundle, open_bundle
from app.model.encoder import Encoder, PromptCache
from app.model.engines import Engine
from app.model.engines.choice import open_engine
from app.model.remote_bundle import fetch_bundle
from app.native import bound_threads
from app.optional import need
from app.pantry import PantryStore
from app.pantry.none import NoPantry
from app.pantry.sqlite.store import SQLitePantry
from app.recognition.background import Background
from app.recognition.classifier import Classifier
from app.recognition.few_shot import ImageAlignment
from app.recognition.label_file import open_labels
from app.recognition.request_labels import TextLimits
from app.recognition.vocabulary import LabelSet, Vocabulary, background_of_words, read_prompts, read_templates
from app.recognition.zero_shot import Recogniser
from app.s3 import S3, SCHEME, parse_place
from app.serving.pipeline import PROMPTS_KEPT
from app.settings import S3Url, Settings

if TYPE_CHECKING:
    from app.exporter.original import OpenedOriginal


FEEDBACK, REVIEW = "feedback.sqlite", "review.sqlite"  # in the data folder


@dataclass(frozen=True)
class Model:
    """A model and what the service needs to know about it."""

    config: BundleConfig
    encoder: Encoder
    checksum: str
    count_tokens: Callable[[str], int]
    alignment: ImageAlignment | None = None
    background: Background | None = None
    """The bundle's background embeddings; the prompts of the settings are added."""
    labels: Path | None = None
    """The label file of a bundle that knows only these; used if the settings name none."""

    @property
    def tells_known(self) -> bool:
        """Whether it can tell out-of-distribution pictures: by a fitted margin, or by nouns that it knows."""
        calibration = self.config.calibration
        return self.labels is None or (calibration is not None and calibration.known_margin is not None)

    @property
    def name(self) -> str:
        """The name in responses and logs."""
        return self.config.name

    @property
    def vectors(self) -> VectorModel:
        """Identify the model of a store's embeddings."""
        return VectorModel(self.name, self.checksum, self.encoder.size)


def open_model(settings: Settings) -> Model:
    """Open the model that the settings name. Raises BundleError, EngineError, or ExportError for open_clip models."""
    bound_threads(settings.threads)
    with suppress(OSError):  # the component that needs the folder reports it
        settings.data.mkdir(
            mode=0o700, parents=True, exist_ok=True
        )  # only for its owner: it may hold people's pictures
    if settings.model.startswith("open_clip:"):
        if settings.engine not in ("auto", "torch"):
            raise EngineError(f"{settings.engine} runs bundles; {settings.model} needs LARDER_ENGINE=torch or auto")
        need(settings.model, ("torch", "open_clip"), "requirements-model.txt")
        from app.exporter.original import open_original  # imports torch

        original = open_original(settings.model, settings.threads)
        return _model(settings, original, original.engine)
    with naming("LARDER_MODEL"):
        bundle = open_bundle(bundle_folder(settings))
    engine = open_engine(settings.engine, bundle, settings.threads, settings.data, _rebuild)
    return _model(settings, bundle, engine)


def _rebuild(bundle: Bundle) -> Any:
    """Rebuild the open_clip model that a bundle was exported from."""
    from app.exporter.weights import rebuild  # imports torch

    return rebuild(bundle, None, lambda line: get_logger().info(line)).model


def bundle_folder(settings: Settings) -> Path:
    """Return the folder of the bundle that the settings name, downloaded first if it is in S3. Raises BundleError."""
    if settings.model.startswith(SCHEME):
        return fetch_bundle(S3(), parse_place(settings.model), settings.data / "models")
    if settings.model.startswith("hf:"):
        return _published_bundle(settings)
    return find_bundle(settings.model)


def _published_bundle(settings: Settings) -> Path:
    """Return the bundle of a model on the Hugging Face hub; exported once, and kept in the data folder."""
    place = settings.data / "models" / re.sub(r"[^\w.-]+", "--", settings.model.removeprefix("hf:"))
    if not (place / "config.json").is_file():
        need(settings.model, ("onnx", "safetensors", "regex"), "requirements-hub.txt")
        from app.exporter.published import export_published  # imports onnx

        export_published(settings.model, place, lambda line: get_logger().info(line))
    return place


def _model(settings: Settings, source: "Bundle | OpenedOriginal", engine: Engine) -> Model:
    config = source.config
    cache = PromptCache(settings.data / "prompts.sqlite", f"{source.checksum} {engine.name}", settings.prompt_cache)
    get_logger().info("model", name=config.name, engine=engine.name, threads=settings.threads, resizer=LIBRARY)
    return Model(
        config=config,
        encoder=Encoder(source.tokenize, engine, config.embedding_size, cache),
        checksum=source.checksum,
        count_tokens=lru_cache(PROMPTS_KEPT)(source.count_tokens),
        alignment=ImageAlignment.load(source.likeness) if source.likeness else None,
        background=Background.load(source.background) if source.background else None,
        labels=source.labels,
    )


def open_pantry(settings: Settings) -> PantryStore:
    """Open the pantry that the settings name. Raises StoreUnavailable."""
    if settings.pantry == "none":
        return NoPantry()
    if settings.pantry == "sqlite":
        with naming("LARDER_DATA"):
            return SQLitePantry(settings.data / "pantry.sqlite", max_bytes=settings.max_store)
    from app.pantry.firestore.store import open_firestore  # Google's libraries are slow to import

    return open_firestore(settings)


def open_contents(settings: Settings, model: Model, *, searched: bool = True) -> ContentStore:
    """Open the configured content store; `searched` tells whether searches will be made.

    Raises StoreUnavailable, or ContentsError if another model filled it.
    """
    if settings.contents == "none":
        return NoContents()
    if settings.contents == "faiss":
        path = settings.data / "contents.sqlite"
        return LocalContents(path, model.vectors, settings.threads, max_bytes=settings.max_store, searched=searched)
    need("LARDER_CONTENTS=milvus://", ("pymilvus",), "requirements-milvus.txt")
    from app.contents.milvus import open_milvus  # an optional requirement

    return open_milvus(settings.contents, model.vectors)


def open_vocabulary(settings: Settings, model: Model, store: PantryStore, background: Background) -> Vocabulary:
    """Open the live vocabulary, not encoded yet. Raises InvalidLabels for unusable templates and labels."""
    with naming("LARDER_TEMPLATES"):
        templates = read_templates(settings.templates)
    vocabulary = Vocabulary(
        open_labels(label_file(settings, model)),
        templates,
        store,
        model.encoder,
        settings.max_label_length,
        model.checksum,
        model.alignment,
        text_limits(settings, model).fits,
        background if model.tells_known else None,
    )
    with naming("LARDER_LABELS"):
        vocabulary.read_file()
    return vocabulary


def label_file(settings: Settings, model: Model) -> S3Url | Path:
    """Name the label file: the settings' own, else the bundle's, else the default of the settings."""
    return settings.labels if "labels" in settings.model_fields_set else model.labels or settings.labels


def open_recogniser(settings: Settings, model: Model, labels: Vocabulary | LabelSet) -> Recogniser:
    """Open the recogniser over a label set."""
    calibration = model.config.calibration
    known_margin, temperature = (calibration.known_margin, calibration.temperature) if calibration else (None, None)
    return Recogniser(labels, model.config.logit_scale, known_margin, temperature, settings.update_unknown)


def open_classifier(model: Model, background: Background) -> Classifier:
    """Open the classifier among labels of requests."""
    calibration = model.config.calibration
    label_cosine, known_margin = (calibration.label_cosine, calibration.known_margin) if calibration else (None, None)
    return Classifier(background, model.config.logit_scale, label_cosine, known_margin)


def open_background(settings: Settings, model: Model) -> Background:
    """Encode the background: the prompts of the settings' file, and the embeddings of the bundle.

    If no margin of `known` was fitted, the nouns of the settings' file are added, if the model knows any.
    """
    with naming("LARDER_BACKGROUND"):
        prompts = read_prompts(settings.background)
    calibration = model.config.calibration
    if calibration and calibration.known_margin is not None:
        embeddings = model.encoder.prompts(prompts)
        return model.background.with_prompts(embeddings) if model.background else Background(embeddings)
    with naming("LARDER_NOUNS"):
        nouns = read_prompts(settings.nouns) if model.tells_known else []
        return background_of_words(model.encoder, prompts, nouns)


def open_followers(settings: Settings, pantry: PantryStore, metrics: Metrics) -> list[Follower]:
    """Create the event followers: webhooks and MQTT. Raises SettingsError, or StartError without aiomqtt."""
    followers: list[Follower] = [*open_webhooks(settings, metrics)]
    if settings.mqtt:
        need("LARDER_MQTT", ("aiomqtt",), "requirements-mqtt.txt")
        from app.events.mqtt import open_mqtt  # an optional requirement

        followers.append(open_mqtt(settings.mqtt.get_secret_value(), pantry, metrics))
    return followers


def image_limits(settings: Settings) -> ImageLimits:
    """Return the settings' limits for one picture."""
    return ImageLimits(settings.max_body, settings.max_pixels, settings.formats)


def open_preparer(settings: Settings, model: Model) -> Preparer:
    """Return the preparer for pictures within the settings' limits."""
    return Preparer(model.config.image_form, image_limits(settings))


def text_limits(settings: Settings, model: Model) -> TextLimits:
    """Return the limits for the texts of one request."""
    return TextLimits(settings.max_labels, settings.max_label_length, model.config.context_length, model.count_tokens)


@dataclass(frozen=True)
class Components:
    """The components of a service."""

    model: Model
    pantry: PantryStore
    vocabulary: Vocabulary
    recogniser: Recogniser
    classifier: Classifier
    contents: ContentStore


def open_components(settings: Settings, model: Model | None = None, store: PantryStore | None = None) -> Components:
    """Open the components that the settings name, except a model or store that is given. Raises what opening raises."""
    model = model or open_model(settings)
    store = store or open_pantry(settings)
    background = open_background(settings, model)
    vocabulary = open_vocabulary(settings, model, store, background)
    recogniser = open_recogniser(settings, model, vocabulary)
    classifier = open_classifier(model, background)
    return Components(model, store, vocabulary, recogniser, classifier, open_contents(settings, model))
