"""Zero-shot image classification in Hugging Face's form: `huggingface_hub.InferenceClient` works unchanged."""

from fastapi import APIRouter

from app.api.classify import vectors
from app.api.dependencies import KEYS, ServiceDep
from app.api.failures import PICTURE
from app.api.schemas.base import Error
from app.api.schemas.foreign import LabelScore, ZeroShot
from app.recognition.request_labels import read_labels

router = APIRouter(tags=["foreign forms"], dependencies=KEYS)


@router.post("/models/{model:path}", responses=PICTURE | {404: {"model": Error, "description": "unknown model"}})
async def zero_shot(model: str, body: ZeroShot, service: ServiceDep) -> list[LabelScore]:
    """Classify an image among candidate labels, in Hugging Face's form: a softmax over them, best first."""
    service.check_model(model)
    sent = body.parameters.candidate_labels
    names = [part.strip() for part in sent.split(",")] if isinstance(sent, str) else sent
    template, each = body.parameters.hypothesis_template, service.pipeline.for_each_text
    labels = await read_labels(names, template, service.limits, each)
    pair = await vectors(service, body.inputs, labels)
    with service.ranking():
        answer = service.classifier.classify(*pair)
    scores = [
        LabelScore(label=label, score=score) for label, score in zip(labels.names, answer.probabilities, strict=True)
    ]
    return sorted(scores, key=lambda each: -each.score)
