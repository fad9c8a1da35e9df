"""Zero-shot image classification in Hugging Face's form: `huggingface_hub.InferenceClient` works unchanged."""

from collections.abc import Sequence

from fastapi import APIRouter

from app.api.classify import vectors
from app.api.dependencies import KEYS, ServiceDep
from app.api.failures import PICTURE
from app.api.schemas.base import Error
from app.api.schemas.foreign import LabelScore, ZeroShot
from app.errors import InvalidLabels
from app.recognition.request_labels import read_labels

router = APIRouter(tags=["foreign forms"], dependencies=KEYS)


@router.post("/models/{model:path}", responses=PICTURE | {404: {"model": Error, "description": "unknown model"}})
async def zero_shot(model: str, body: ZeroShot, service: ServiceDep) -> list[LabelScore]:
    """Classify an image among candidate labels, in Hugging Face's form, best first.

    Scores are a softmax over the labels, or with `multi_label` each label's own probability.
    """
    service.check_model(model)
    wanted, each = body.parameters, service.pipeline.for_each_text
    names = labels_of(wanted.candidate_labels, service.limits.most)
    labels = await read_labels(names, wanted.hypothesis_template, service.limits, each)
    pair = await vectors(service, body.inputs, labels)
    with service.ranking():
        answer = service.classifier.classify(*pair, independent=wanted.multi_label)
    scores = [
        LabelScore(label=label, score=score) for label, score in zip(labels.names, answer.probabilities, strict=True)
    ]
    return sorted(scores, key=lambda each: -each.score)


def labels_of(sent: str | Sequence[str], most: int) -> Sequence[str]:
    """Return the labels of a list or a comma-separated string; raises InvalidLabels for a string of more than `most`.

    >>> labels_of("a lemon, a leek", most=2)
    ['a lemon', 'a leek']
    """
    if not isinstance(sent, str):
        return sent
    if (number := sent.count(",") + 1) > most:  # a string of millions is not even split
        raise InvalidLabels(f"{number:,} labels were sent; 1 to {most:,} are accepted")
    return [part.strip() for part in sent.split(",")]
