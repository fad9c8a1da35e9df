"""`POST /classify`: zero-shot classification among labels that are sent with the request."""

import asyncio

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import Service, ServiceDep
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.schemas.recognition import Classify, ClassifyAnswer
from app.model.engines import Floats
from app.recognition.classifier import Classification
from app.recognition.request_labels import RequestLabels, read_labels

router = APIRouter(route_class=PictureRoute, tags=["recognition"])


@router.post("/classify", responses=PICTURE)
async def classify(body: Classify, service: ServiceDep) -> ClassifyAnswer:
    """Classify an image among labels sent with the request.

    Labels are prompts, used word for word, unless a `template` makes prompts of them. Labels that differ only in case
    or spacing count as one. A prompt that exceeds the model's context length is refused. Prompts are cached in memory.
    """
    labels = await read_labels(body.labels, body.template, service.limits, service.pipeline.for_each_text)
    picture, prompts = await vectors(service, body.image_data, labels)

    def rank() -> Classification:
        with service.ranking():
            return service.classifier.classify(
                picture,
                prompts,
                labels.categories,
                independent=body.mode == "independent",
                none_of_these=body.none_of_these,
                threshold=body.threshold,
            )

    # a thousand labels beside thousands of nouns take a tenth of a second
    answer = await run_in_threadpool(rank) if len(labels.names) > 20 else rank()
    return ClassifyAnswer(
        result=dict(zip(labels.names, answer.probabilities, strict=True)),
        categories=answer.categories,
        cosines=dict(zip(labels.names, answer.cosines, strict=True)),
        none_of_these=answer.none_of_these,
        confident=answer.confident,
        model=service.model.name,
    )


async def vectors(service: Service, picture: str | bytes, labels: RequestLabels) -> tuple[Floats, Floats]:
    """Encode a picture (D,) and its labels' prompts (N, D) concurrently."""
    return await asyncio.gather(service.pipeline.vector(picture), service.pipeline.texts(labels.prompts))
