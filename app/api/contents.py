"""Contents: stored texts and images, searched by text, by image or by other entries."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import KEYS, Service, ServiceDep
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.schemas.base import Error
from app.api.schemas.contents import (
    ContentCount,
    ContentDeleted,
    ContentEntry,
    ContentPut,
    ContentSearch,
    HitEntry,
    Hits,
    WeightedQuery,
)
from app.contents import Content, content_id
from app.contents.paging import Query, decode_cursor, encode_cursor, search_page
from app.errors import InvalidRequest, NotFound
from app.images.header import as_bytes
from app.model.encoder import unit
from app.model.engines import Floats

TYPE_DEPRECATED = "@1796083200"  # RFC 9745: since 1 December 2026 `type` is called `only`
MIN_LENGTH = 1e-3  # of a weighted sum; shorter ones are rounding errors
_AWAY = {"model": Error, "description": "overloaded, draining, or the contents are unavailable"}
router = APIRouter(
    route_class=PictureRoute,
    tags=["contents"],
    dependencies=KEYS,
    responses={404: {"model": Error, "description": "no such entry"}, 503: _AWAY},
)


@router.get("/contents")
async def count(service: ServiceDep, collection: str | None = None) -> ContentCount:
    """Count the entries, in all or in one collection."""
    return ContentCount(count=await service.contents_threads.read(service.contents.count, collection))


@router.post("/contents/search", responses=PICTURE)
async def search(body: ContentSearch, service: ServiceDep, response: Response) -> Hits:
    """Search for the entries nearest to texts, images or other entries, among those that pass the filter."""
    if body.type:
        response.headers["Deprecation"] = TYPE_DEPRECATED
    where = body.where()
    about = f"{where} {body.min_score} {service.model.checksum}"
    if body.cursor is not None:
        query = decode_cursor(body.cursor, about, service.model.size)
    else:
        query = await _query(body.weighted(), service)
    with service.ranking():
        hits, following = await service.contents_threads.read(
            search_page, service.contents, query, body.k, where, body.min_score
        )
    return Hits(
        hits=[HitEntry(id=h.id, type=h.type, score=h.score, metadata=dict(h.metadata)) for h in hits],
        cursor=following and encode_cursor(following, about),
    )


@router.get("/contents/{id:path}")
async def get(id: str, service: ServiceDep) -> ContentEntry:
    """Get one entry."""
    return _wire(await service.contents_threads.read(service.contents.get, content_id(id)))


@router.put("/contents/{id:path}", responses=PICTURE | {201: {"model": ContentEntry, "description": "created"}})
async def put(id: str, body: ContentPut, service: ServiceDep, response: Response) -> ContentEntry:
    """Create or replace the entry with this id (slashes allowed)."""
    picture: str | bytes = body.image_data or ""
    if picture and service.keep_pictures:
        picture = await run_in_threadpool(as_bytes, picture)
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


async def _query(weighted: Sequence[WeightedQuery], service: Service) -> Query:
    """Return the query: the sum of the embeddings, each times its weight; entries among them are no hits.

    Raises InvalidRequest where they cancel each other out.
    """
    texts = [each.text for each in weighted if each.text is not None]
    pictures = [each.image_data for each in weighted if each.image_data is not None]
    ids = [content_id(each.id) for each in weighted if each.id is not None]
    of_ids = iter(await service.contents_threads.read(service.contents.vectors, ids) if ids else ())
    of_texts = iter(await service.pipeline.texts(texts) if texts else ())
    of_pictures = iter(await service.pipeline.vectors(pictures) if pictures else ())
    total = np.zeros(service.model.size, np.float32)
    for each in weighted:
        of_kind = of_texts if each.text is not None else of_pictures if each.image_data is not None else of_ids
        total += np.float32(each.weight) * next(of_kind)
    if float(total @ total) < MIN_LENGTH**2:
        raise InvalidRequest("the queries cancel each other out: change their weights")
    return Query(unit(total), tuple(ids))


def _wire(content: Content) -> ContentEntry:
    return ContentEntry(
        id=content.id,
        type=content.type,
        text=content.text,
        metadata=dict(content.metadata),
        collection=content.collection,
        thumbnail=content.thumbnail is not None,
    )
