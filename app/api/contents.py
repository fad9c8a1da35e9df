"""Contents: stored texts and images, searched by text, by image or by other entries."""

from collections.abc import Sequence
from dataclasses import replace

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, Service, ServiceDep
from app.api.failures import PICTURE
from app.api.schemas.base import Error
from app.api.schemas.contents import (
    ContentCount,
    ContentDeleted,
    ContentEntry,
    ContentPut,
    ContentSearch,
    HitEntry,
    Hits,
)
from app.contents import Content, Where, content_id
from app.errors import NotFound
from app.images.header import decode_base64
from app.model.encoder import unit
from app.model.engines import Floats

_AWAY = {"model": Error, "description": "overloaded, draining, or the contents are unavailable"}
router = APIRouter(
    tags=["contents"],
    dependencies=KEYS,
    responses={404: {"model": Error, "description": "no such entry"}, 503: _AWAY},
)


@router.get("/contents")
async def count(service: ServiceDep, collection: str | None = None) -> ContentCount:
    """Count the entries, in all or in one collection."""
    return ContentCount(count=await service.contents_threads.read(service.contents.count, collection))


@router.post("/contents/search", responses=PICTURE)
async def search(body: ContentSearch, service: ServiceDep) -> Hits:
    """Search for the entries nearest to a text, an image or other entries, among those that pass the filter."""
    near = [body.id] if body.id is not None else body.ids or []
    vector = await _query(body, near, service)
    where = Where(body.type, body.collection, body.conditions(), tuple(near))
    with service.ranking():
        hits = await service.contents_threads.read(service.contents.search, vector, body.k, where)
    return Hits(hits=[HitEntry(id=h.id, type=h.type, score=h.score, metadata=dict(h.metadata)) for h in hits])


@router.get("/contents/{id:path}")
async def get(id: str, service: ServiceDep) -> ContentEntry:
    """Get one entry."""
    return _wire(await service.contents_threads.read(service.contents.get, content_id(id)))


@router.put("/contents/{id:path}", responses=PICTURE | {201: {"model": ContentEntry, "description": "created"}})
async def put(id: str, body: ContentPut, service: ServiceDep, response: Response) -> ContentEntry:
    """Create or replace the entry with this id (slashes allowed)."""
    picture: str | bytes = body.image_data or ""
    if picture and service.keep_pictures:
        picture = await run_in_threadpool(decode_base64, body.image_data or "")
    content = Content(
        content_id(id),
        body.type,
        text=body.text,
        collection=body.collection,
        metadata=body.metadata,
        picture=picture if isinstance(picture, bytes) else None,
    )
    if body.thumbnail:
        vector, thumbnail = await service.pipeline.vector_and_thumbnail(picture)
        content = replace(content, thumbnail=thumbnail)
    else:
        vector = await vector_of(service, body.text, picture)
    if await service.contents_threads.change(service.contents.put, content, vector):
        response.status_code = 201
    return _wire(content)


@router.delete("/contents/{id:path}")
async def delete(id: str, service: ServiceDep) -> ContentDeleted:
    """Delete one entry."""
    await service.contents_threads.change(service.contents.delete, content_id(id))
    return ContentDeleted(id=id)


@router.get("/thumbnails/{id:path}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def thumbnail(id: str, service: ServiceDep) -> Response:
    """Get an image's thumbnail, if `PUT` asked for one: a JPEG of at most 256 pixels a side."""
    content = await service.contents_threads.read(service.contents.get, content_id(id))
    if content.thumbnail is None:
        raise NotFound(f"the entry {id!r} has no thumbnail: it was put without `thumbnail`")
    return Response(content.thumbnail, media_type="image/jpeg")


async def vector_of(service: Service, text: str | None, picture: str | bytes) -> Floats:
    """Embed (D,) a text, or a picture where there is no text."""
    return await service.pipeline.vector(picture) if text is None else (await service.pipeline.texts([text]))[0]


async def _query(body: ContentSearch, near: Sequence[str], service: Service) -> Floats:
    """Return the query vector (D,): of a text, of an image, or the mean of stored entries."""
    if not near:
        return await vector_of(service, body.text, body.image_data or "")
    ids = [content_id(each) for each in near]
    vectors = await service.contents_threads.read(service.contents.vectors, ids)  # (N, D)
    return unit(vectors.mean(axis=0))


def _wire(content: Content) -> ContentEntry:
    return ContentEntry(
        id=content.id,
        type=content.type,
        text=content.text,
        metadata=dict(content.metadata),
        collection=content.collection,
        thumbnail=content.thumbnail is not None,
    )
