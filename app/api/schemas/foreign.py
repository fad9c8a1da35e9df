"""Schemas that others have defined: OpenAI's and Hugging Face's."""

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

from app.api.schemas.base import NullIsAbsent, Texts


class Foreign(NullIsAbsent):
    """A schema that others have defined: unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)


def _no_tokens(value: object) -> object:
    if isinstance(value, list) and any(isinstance(each, int | list) for each in value):
        raise ValueError("token arrays are not accepted; send texts or images")
    return value


class Embeddings(Foreign):
    """Texts and images to embed, in OpenAI's form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"model": "larder-small", "input": ["a banana", "data:image/jpeg;base64,/9j/4AAQSkZJRgABAQ…"]}]
        }
    )

    model: str | None = Field(None, description="the served model's name")
    input: Annotated[str | Texts, BeforeValidator(_no_tokens)] = Field(description="texts, and images as data URIs")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="numbers, or their bytes in base64: little-endian float32"
    )
    modality: Literal["text", "image"] | None = Field(
        None, description="the kind of every input; without it, data URIs are images and everything else is text"
    )
    dimensions: int | None = Field(None, description="only the model's own embedding size is accepted")


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


class ZeroShotParameters(Foreign):
    """The labels to choose from."""

    candidate_labels: Texts | str = Field(description="a list, or a comma-separated string")
    hypothesis_template: str = Field("This is a photo of {}.", description="`{}` stands for the label")
    multi_label: bool = Field(False, description="whether several labels may apply, each with a probability of its own")


class ZeroShot(Foreign):
    """An image to classify, in Hugging Face's form."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"inputs": "/9j/4AAQSkZJRgABAQ…", "parameters": {"candidate_labels": ["a banana", "a lemon"]}}]
        }
    )

    inputs: str = Field(
        min_length=1,
        validation_alias=AliasChoices("inputs", "image"),
        description="the image in base64; older clients call the field `image`",
    )
    parameters: ZeroShotParameters


class LabelScore(BaseModel):
    """A label and its probability."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "a banana", "score": 0.94}]})

    label: str
    score: float
