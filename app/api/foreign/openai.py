"""OpenAI's form of models and embeddings, with images as vLLM, NIM and Jina take them; `openai` works unchanged."""

import base64
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from app.api.dependencies import ServiceDep
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.schemas.base import Error, Foreign, PictureByUrl, TakesPictures
from app.errors import InvalidRequest
from app.model.encoder import unit
from app.model.engines import Floats
from app.recognition.request_labels import LONGEST_TEXT, Each, TextLimits

UNKNOWN_MODEL: dict[int | str, dict[str, Any]] = {404: {"model": Error, "description": "unknown model"}}
router = APIRouter(route_class=PictureRoute, prefix="/v1", tags=["foreign forms"])

_DATA_URI = re.compile(r"data:[^,]{0,100};base64,", re.IGNORECASE)
_URL = re.compile(r"\s*https?://\S+\s*", re.IGNORECASE)


class Model(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int = Field(default=0, description="always 0: not recorded")
    owned_by: str = "larder"


class ModelList(BaseModel):
    """The models that are served: one."""

    object: Literal["list"] = "list"
    data: list[Model]


class TypedInput(Foreign, PictureByUrl):
    """A text, an image, or both: in one object both make one embedding, the normalised sum of theirs."""

    text: str | None = None
    image: str | None = Field(None, description="in base64, as a data URI, or an http or https URL")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, body: Any) -> Any:
        """Normalise `{"type": "image_url", "image_url": {"url": ...}}` and `{"image": ...}` to one form."""
        if not isinstance(body, dict):
            return body
        url, image = body.get("image_url"), body.get("image")
        url = url.get("url") if isinstance(url, dict) else url
        if isinstance(image, str) and _URL.fullmatch(image):
            url, image = image.strip(), None
        return {"text": body.get("text"), "image_url": url, "image_data": image}

    @model_validator(mode="after")
    def _something(self) -> "TypedInput":
        if self.text is None and self.image_data is None:
            raise ValueError("an object needs `text`, `image` or `image_url`")
        return self


def _no_tokens(value: object) -> object:
    if isinstance(value, list) and any(isinstance(each, int | list) for each in value):
        raise ValueError("token arrays are not accepted; send texts or images")
    return value


def _kind(value: object) -> str:
    return "object" if isinstance(value, dict | TypedInput) else "text"


Input = Annotated[Annotated[str, Tag("text")] | Annotated[TypedInput, Tag("object")], Discriminator(_kind)]


def _one_or_list(value: object) -> str:
    return "list" if isinstance(value, list) else _kind(value)


Inputs = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[TypedInput, Tag("object")]
    | Annotated[Annotated[list[Input], Field(fail_fast=True)], Tag("list")],
    Discriminator(_one_or_list),
]


class Embeddings(Foreign, TakesPictures):
    """Texts and images to embed, in OpenAI's form."""

    picture_fields = ("input",)
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"model": "larder-small", "input": ["a banana", "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ…"]},
                {"input": [{"text": "a banana"}, {"image": "/9j/4AAQSkZJRgABAQ…"}]},
            ]
        }
    )

    model: str | None = Field(None, description="the served model's name")
    input: Annotated[Inputs, BeforeValidator(_no_tokens)] = Field(
        description="texts, images as data URIs, or objects with `text`, with `image` or `image_url`, or with both"
    )
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="numbers, or their bytes in base64: little-endian float32"
    )
    modality: Literal["text", "image"] | None = Field(
        None, description="the kind of every string; without it, data URIs are images and everything else is text"
    )
    dimensions: int | None = Field(None, description="only the model's own embedding size is accepted")

    @classmethod
    def of_pictures(cls, pictures: Sequence[bytes]) -> dict[str, Any]:
        """Return these pictures as inputs."""
        return {"input": [{"image": picture} for picture in pictures]} if pictures else {}


class Embedding(BaseModel):
    """The embedding of one input, of unit length."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class Usage(BaseModel):
    """The number of tokens; images have none."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsAnswer(BaseModel):
    """One embedding for each input, in their order, in OpenAI's form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "object": "list",
                    "data": [{"object": "embedding", "index": 0, "embedding": [0.012, -0.034]}],
                    "model": "larder-small",
                    "usage": {"prompt_tokens": 4, "total_tokens": 4},
                }
            ]
        }
    )

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


@router.get("/models")
async def models(service: ServiceDep) -> ModelList:
    """List the served model, in OpenAI's form."""
    return ModelList(data=[Model(id=service.model.name)])


@router.get("/models/{model:path}", responses=UNKNOWN_MODEL)
async def model(model: str, service: ServiceDep) -> Model:
    """Get the served model, in OpenAI's form."""
    service.check_model(model)
    return Model(id=service.model.name)


@router.post("/embeddings", responses=PICTURE | UNKNOWN_MODEL)
async def embeddings(body: Embeddings, service: ServiceDep) -> EmbeddingsAnswer:
    """Embed texts and images, which may be mixed; the embeddings have unit length, so the cosine is the dot product."""
    if body.model is not None:
        service.check_model(body.model)
    if body.dimensions not in (None, service.model.size):
        raise InvalidRequest(f"dimensions: {body.dimensions} was found; {service.model.name} has {service.model.size}")
    inputs = [_parts(each, body.modality) for each in (body.input if isinstance(body.input, list) else [body.input])]
    texts = [text for text, _ in inputs if text is not None]
    pictures = list(dict.fromkeys(picture for _, picture in inputs if picture is not None))
    tokens = await _check(len(inputs), texts, service.limits, service.pipeline.for_each_text)
    of_pictures = dict(zip(pictures, await service.pipeline.vectors(pictures), strict=True))
    of_texts = dict(zip(texts, await service.pipeline.texts(texts), strict=True)) if texts else {}
    vectors = [
        _one(None if text is None else of_texts[text], None if picture is None else of_pictures[picture])
        for text, picture in inputs
    ]
    return EmbeddingsAnswer(
        data=[
            Embedding(index=index, embedding=_wire(vector, body.encoding_format))
            for index, vector in enumerate(vectors)
        ],
        model=service.model.name,
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _parts(each: str | TypedInput, modality: Literal["text", "image"] | None) -> tuple[str | None, str | bytes | None]:
    """Return the text and the picture of an input; raises InvalidRequest for a URL, which would be embedded as text."""
    if isinstance(each, TypedInput):
        return each.text, each.image_data
    if modality != "text" and _URL.fullmatch(each):
        raise InvalidRequest(
            'input: a string is a URL; send {"image_url": ...} for the image there, or modality "text" for its letters'
        )
    is_picture = modality == "image" or (modality is None and _DATA_URI.match(each) is not None)
    return (None, each) if is_picture else (each, None)


def _one(of_text: Floats | None, of_picture: Floats | None) -> Floats:
    """Return the embedding (D,) of a text, of a picture, or of both: the normalised sum."""
    if of_text is None or of_picture is None:
        return of_picture if of_text is None else of_text  # type: ignore[return-value]  # one of them is there
    return unit(of_text + of_picture)


async def _check(inputs: int, texts: Sequence[str], limits: TextLimits, each: Each) -> int:
    """Count the tokens of all texts; raises InvalidRequest for too many inputs, and for a blank or too long text."""
    if not 0 < inputs <= limits.most:
        raise InvalidRequest(f"input: {inputs:,} inputs were sent; 1 to {limits.most:,} are accepted")
    for text in texts:
        if not text.strip():
            raise InvalidRequest("input: a text is blank")
        if len(text) > LONGEST_TEXT:
            raise InvalidRequest(
                f"input: {text[:30]!r}… has {len(text):,} characters, at most {LONGEST_TEXT:,} are accepted"
            )
    tokens: list[int] = await each(limits.count_tokens, texts)
    for text, count in zip(texts, tokens, strict=True):
        if count > limits.context:
            raise InvalidRequest(f"input: {text[:30]!r}… exceeds the model's context length of {limits.context} tokens")
    return sum(tokens)


def _wire(vector: Floats, form: Literal["float", "base64"]) -> list[float] | str:
    if form == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    numbers: list[float] = vector.tolist()
    return numbers
