"""Hugging Face's form of image classification, zero-shot or not: `huggingface_hub.InferenceClient` works unchanged."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.api.classify import vectors
from app.api.dependencies import Service, ServiceDep
from app.api.failures import PICTURE
from app.api.foreign.openai import UNKNOWN_MODEL
from app.api.media_types import PictureRoute
from app.api.schemas.base import Foreign, Picture, TakesPictures, Texts
from app.errors import InvalidLabels, InvalidRequest
from app.recognition.request_labels import read_labels

router = APIRouter(route_class=PictureRoute, tags=["foreign forms"])


class Parameters(Foreign):
    """The labels to choose from, and how."""

    candidate_labels: Texts | str | None = Field(
        None, description="a list, or a comma-separated string; without them, the live labels are the candidates"
    )
    hypothesis_template: str = Field("This is a photo of {}.", description="`{}` stands for the label")
    multi_label: bool = Field(False, description="whether several labels may apply, each with a probability of its own")
    top_k: int = Field(5, ge=1, le=1000, description="how many of the live labels to return")


class ImageClassification(Foreign, TakesPictures):
    """An image to classify, in Hugging Face's form."""

    picture_fields = ("inputs",)
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"inputs": "/9j/4AAQSkZJRgABAQ…", "parameters": {"candidate_labels": ["a banana", "a lemon"]}}]
        }
    )

    inputs: Picture = Field(
        validation_alias=AliasChoices("inputs", "image"),
        description="the image in base64; older clients call the field `image`",
    )
    parameters: Parameters = Field(default_factory=lambda: Parameters.model_validate({}))

    @classmethod
    def of_pictures(cls, pictures: Sequence[bytes]) -> dict[str, Any]:
        """Return the field that the picture fills."""
        if len(pictures) > 1:
            raise InvalidRequest(f"{len(pictures)} images were found; one is accepted")
        return {"inputs": pictures[0]} if pictures else {}


class LabelScore(BaseModel):
    """A label and its probability."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "a banana", "score": 0.94}]})

    label: str
    score: float


@router.post("/models/{model:path}", responses=PICTURE | UNKNOWN_MODEL)
async def image_classification(model: str, body: ImageClassification, service: ServiceDep) -> list[LabelScore]:
    """Classify an image among candidate labels, or without any among the live labels, best first.

    Scores are a softmax over the labels, or with `multi_label` each candidate's own probability.
    """
    service.check_model(model)
    if body.parameters.candidate_labels is None:
        return await _among_live_labels(body, service)
    return await _among_candidates(body, body.parameters.candidate_labels, service)


async def _among_live_labels(body: ImageClassification, service: Service) -> list[LabelScore]:
    _ = service.recogniser.label_set  # while starting, refuse before the picture is decoded
    vector = await service.pipeline.vector(body.inputs)
    with service.ranking():
        found = service.recogniser.recognise(vector, top_k=body.parameters.top_k, threshold=0.0)
    pairs = zip(found.labels, found.ranking.probabilities, strict=True)
    return [LabelScore(label=label.name, score=score) for label, score in pairs]


async def _among_candidates(
    body: ImageClassification, candidates: str | Sequence[str], service: Service
) -> list[LabelScore]:
    wanted, each = body.parameters, service.pipeline.for_each_text
    names = labels_of(candidates, service.limits.most)
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
