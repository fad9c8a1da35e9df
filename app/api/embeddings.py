"""Embeddings of texts and pictures in OpenAI's form: the `openai` client works unchanged."""

import base64
import re
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter

from app.api.dependencies import KEYS, ServiceDep
from app.api.failures import PICTURE
from app.api.schemas.base import Error
from app.api.schemas.foreign import Embedding, Embeddings, EmbeddingsAnswer, Usage
from app.errors import InvalidRequest
from app.model.engines import Floats
from app.recognition.request_labels import LONGEST_TEXT, Each, TextLimits

router = APIRouter(tags=["foreign forms"], dependencies=KEYS)

_DATA_URI = re.compile(r"data:[^,]{0,100};base64,", re.IGNORECASE)


@router.post("/v1/embeddings", responses=PICTURE | {404: {"model": Error, "description": "unknown model"}})
async def embeddings(body: Embeddings, service: ServiceDep) -> EmbeddingsAnswer:
    """Embed texts and images, which may be mixed; the embeddings have unit length, so the cosine is the dot product."""
    if body.model is not None:
        service.check_model(body.model)
    if body.dimensions not in (None, service.model.size):
        raise InvalidRequest(f"dimensions: {body.dimensions} was found; {service.model.name} has {service.model.size}")
    inputs = [body.input] if isinstance(body.input, str) else body.input
    pictures = list(dict.fromkeys(each for each in inputs if _is_picture(each, body.modality)))
    texts = [each for each in inputs if not _is_picture(each, body.modality)]
    tokens = await _check(inputs, texts, service.limits, service.pipeline.for_each_text)
    vectors = dict(zip(pictures, await service.pipeline.vectors(pictures), strict=True))
    if texts:
        vectors |= zip(texts, await service.pipeline.texts(texts), strict=True)
    return EmbeddingsAnswer(
        data=[
            Embedding(index=index, embedding=_wire(vectors[each], body.encoding_format))
            for index, each in enumerate(inputs)
        ],
        model=service.model.name,
        usage=Usage(prompt_tokens=tokens, total_tokens=tokens),
    )


def _is_picture(text: str, modality: Literal["text", "image"] | None) -> bool:
    return modality == "image" or (modality is None and _DATA_URI.match(text) is not None)


async def _check(inputs: Sequence[str], texts: Sequence[str], limits: TextLimits, each: Each) -> int:
    """Count the tokens of all texts; raises InvalidRequest for too many inputs, and for a blank or too long text."""
    if not 0 < len(inputs) <= limits.most:
        raise InvalidRequest(f"input: {len(inputs):,} inputs were sent; 1 to {limits.most:,} are accepted")
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
