"""The older API for adding and searching contents: raw bodies, everything else as query parameters."""

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from app.api.contents import with_picture
from app.api.dependencies import Service, ServiceDep
from app.api.failures import PICTURE
from app.api.schemas.base import Error
from app.contents import MAX_ID, MAX_K, MAX_TEXT, Content, ContentType, content_id
from app.errors import InvalidRequest
from app.model.engines import Floats

router = APIRouter(
    prefix="/mv_retrieval/v0.1",
    tags=["contents"],
    responses=PICTURE | {503: {"model": Error, "description": "overloaded, draining, or the contents are unavailable"}},
)
_BODY = {
    "requestBody": {
        "required": True,
        "description": "a text in UTF-8, or the bytes of an image",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
IdQuery = Annotated[str, Query(min_length=1, max_length=MAX_ID)]
TypeQuery = Annotated[ContentType, Query()]
KQuery = Annotated[int, Query(ge=1, le=MAX_K)]


class Added(BaseModel):
    """The response to an addition; `time` is its duration, in seconds."""

    msg: str
    time: float


class Retrieved(BaseModel):
    """The response to a search: ids, best first, and their cosines."""

    contents: list[str]
    scores: list[float]


@router.post("/add_content", openapi_extra=_BODY)
async def add_content(id: IdQuery, type: TypeQuery, request: Request, service: ServiceDep) -> Added:
    """Add a text or an image, unless an entry has exactly the same embedding: then the message names that entry."""
    begun = time.perf_counter()
    data = await request.body()
    content = Content(content_id(id), type, text=_text(data) if type == "text" else None)
    if type == "text":
        vector = await _embed(data, type, service)
    else:
        vector, content = await with_picture(service, content, data)
    equal = await service.contents.change(lambda contents: contents.add(content, vector))
    msg = f"Content {id} successfully added to the indexer"
    if equal is not None:
        msg = f"Content arleady present in the MV archive with id: {equal}"  # spelt as its clients know it
    return Added(msg=msg, time=time.perf_counter() - begun)


@router.post("/retrieve_contents", openapi_extra=_BODY)
async def retrieve_contents(type: TypeQuery, k: KQuery, request: Request, service: ServiceDep) -> Retrieved:
    """Search for the entries nearest to a text or an image, best first: k of them, or as many as there are."""
    vector = await _embed(await request.body(), type, service)
    with service.ranking():
        hits = await service.contents.read(lambda contents: contents.search(vector, k))
    return Retrieved(contents=[hit.id for hit in hits], scores=[hit.score for hit in hits])


async def _embed(data: bytes, type: ContentType, service: Service) -> Floats:
    """Embed (D,) a text or a picture."""
    return (await service.pipeline.texts([_text(data)]))[0] if type == "text" else await service.pipeline.vector(data)


def _text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not a text in UTF-8: {error}") from error
    if not 1 <= len(text) <= MAX_TEXT:
        raise InvalidRequest(f"the body has {len(text):,} characters; a text has 1 to {MAX_TEXT:,}")
    return text
