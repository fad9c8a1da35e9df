"""Contents: stored texts and images, searched by text, by image or by other entries."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool

from app.api.dependencies import Service, ServiceDep
from app.api.failures import PICTURE
from app.api.media_types import PictureRoute
from app.api.schemas.base import Error
from app.api.schemas.contents import (
    Collection,
    CollectionDeleted,
    CollectionRename,
    CollectionRenamed,
    ContentDeleted,
    ContentEntry,
    ContentList,
    ContentPut,
)
from app.api.schemas.search import ContentSearch, HitEntry, Hits, WeightedQuery
from app.contents import MAX_ID, MAX_K, Content, ContentStore, FileFacts, content_id
from app.contents.paging import SearchQuery, decode_cursor, encode_cursor, search_page
from app.errors import InvalidRequest, NotFound
from app.images.header import as_bytes
from app.model.encoder import unit
from app.model.engines import Floats

TYPE_DEPRECATED = "@1796083200"  # RFC 9745: since 1 December 2026 `type` is called `only`
MIN_LENGTH = 1e-3  # of a weighted sum; shorter ones are rounding errors
PAGE = 100  # entries per page by default
AT_ONCE = 1000  # entries per transaction when a collection is deleted or renamed: some 50 ms
CollectionQuery = Annotated[Collection | None, Query()]
CursorQuery = Annotated[str, Query(max_length=MAX_ID, description="from the response before")]
LimitQuery = Annotated[int | None, Query(ge=1, le=MAX_K, description="how many entries to list; at most 1,000")]
_AWAY = {"model": Error, "description": "overloaded, draining, or the contents are unavailable"}
router = APIRouter(
    route_class=PictureRoute,
    tags=["contents"],
    responses={404: {"model": Error, "description": "no such entry"}, 503: _AWAY},
)


@router.get("/contents", response_model_exclude_unset=True)
async def entries(
    service: ServiceDep, collection: CollectionQuery = None, cursor: CursorQuery = "", limit: LimitQuery = None
) -> ContentList:
    """Count the entries, in all or in one collection; with `limit` or `cursor`, also list them page by page."""
    count = await service.contents.read(lambda contents: contents.count(collection))
    if limit is None and not cursor:
        return ContentList(count=count)
    found, following = await service.contents.read(lambda contents: contents.page(cursor, limit or PAGE, collection))
    return ContentList(count=count, entries=[_wire(each.content) for each in found], cursor=following or None)


@router.delete("/contents")
async def delete_collection(service: ServiceDep, collection: Annotated[Collection, Query()]) -> CollectionDeleted:
    """Delete a collection with all of its entries; called again, an interrupted deletion goes on."""
    deleted = await _all(service, lambda contents: contents.delete_collection(collection, AT_ONCE), collection)
    return CollectionDeleted(collection=collection, deleted=deleted)


@router.post("/contents/rename")
async def rename_collection(body: CollectionRename, service: ServiceDep) -> CollectionRenamed:
    """Rename a collection; with `merge` to one that exists. Called again with it, an interrupted renaming goes on."""
    count = await service.contents.read(lambda contents: contents.count(body.to))
    if count and not body.merge:
        raise InvalidRequest(f"the collection {body.to!r} has entries already: send `merge` to put both together")
    old, new = body.collection, body.to
    renamed = await _all(service, lambda contents: contents.rename_collection(old, new, AT_ONCE), old)
    return CollectionRenamed(collection=new, renamed=renamed)


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
        hits, following = await service.contents.read(
            lambda contents: search_page(contents, query, body.k, where, body.min_score)
        )
    return Hits(
        hits=[HitEntry(id=h.id, type=h.type, score=h.score, metadata=dict(h.metadata)) for h in hits],
        cursor=encode_cursor(following, about) if following else None,
    )


@router.get("/contents/{id:path}")
async def get(id: str, service: ServiceDep) -> ContentEntry:
    """Get one entry."""
    return _wire(await _get(service, id))


@router.put("/contents/{id:path}", responses=PICTURE | {201: {"model": ContentEntry, "description": "created"}})
async def put(id: str, body: ContentPut, service: ServiceDep, response: Response) -> ContentEntry:
    """Create or replace the entry with this id (slashes allowed)."""
    content = Content(content_id(id), body.type, body.text, body.collection, body.metadata)
    if body.text is not None:
        vector = (await service.pipeline.texts([body.text]))[0]
    else:
        picture = await run_in_threadpool(as_bytes, body.image_data or "")
        vector, content = await with_picture(service, content, picture, thumbnail=body.thumbnail)
    if await service.contents.change(lambda contents: contents.put(content, vector)):
        response.status_code = 201
    return _wire(content)


@router.delete("/contents/{id:path}")
async def delete(id: str, service: ServiceDep) -> ContentDeleted:
    """Delete one entry."""
    checked = content_id(id)
    await service.contents.change(lambda contents: contents.delete(checked))
    return ContentDeleted(id=id)


@router.get("/thumbnails/{id:path}", response_class=Response, responses={200: {"content": {"image/jpeg": {}}}})
async def thumbnail(id: str, service: ServiceDep) -> Response:
    """Get an image's thumbnail, if `PUT` asked for one: a JPEG of at most 256 pixels a side."""
    content = await _get(service, id)
    if content.thumbnail is None:
        raise NotFound(f"the entry {id!r} has no thumbnail: it was put without `thumbnail`")
    return Response(content.thumbnail, media_type="image/jpeg")


async def _get(service: Service, id: str) -> Content:
    checked = content_id(id)
    return await service.contents.read(lambda contents: contents.get(checked))


async def with_picture(
    service: Service, content: Content, picture: bytes, *, thumbnail: bool = False
) -> tuple[Floats, Content]:
    """Return the embedding (D,) of a picture, and the entry with the picture's data."""
    header = await service.pipeline.header(picture)
    size = header.picture.size  # before a large JPEG is decoded at reduced size
    vector, fingerprint, small = await service.pipeline.for_entry(header, thumbnail=thumbnail)
    file = FileFacts(*size, len(picture), time.time(), fingerprint)
    original = picture if service.settings.keep_pictures else None
    return vector, replace(content, file=file, thumbnail=small, picture=original)


async def _all(service: Service, step: Callable[[ContentStore], int], collection: str) -> int:
    """Repeat a step until nothing is left, so that other changes can come in between; return the number of entries.

    Raises NotFound if the collection has no entries.
    """
    total = 0
    while count := await service.contents.change(step):
        total += count
    if not total:
        raise NotFound(f"there is no collection {collection!r}")
    return total


async def _query(weighted: Sequence[WeightedQuery], service: Service) -> SearchQuery:
    """Return the query: the weighted sum of the embeddings; entries among them are excluded from the hits.

    Raises InvalidRequest if they cancel each other out.
    """
    texts = [each.text for each in weighted if each.text is not None]
    pictures = [each.image_data for each in weighted if each.image_data is not None]
    ids = [content_id(each.id) for each in weighted if each.id is not None]
    of_ids = iter(await service.contents.read(lambda contents: contents.vectors(ids)) if ids else ())
    of_texts = iter(await service.pipeline.texts(texts) if texts else ())
    of_pictures = iter(await service.pipeline.vectors(pictures) if pictures else ())
    total = np.zeros(service.model.size, np.float32)
    for each in weighted:
        of_kind = of_texts if each.text is not None else of_pictures if each.image_data is not None else of_ids
        total += np.float32(each.weight) * next(of_kind)
    if float(total @ total) < MIN_LENGTH**2:
        raise InvalidRequest("the queries cancel each other out: change their weights")
    return SearchQuery(unit(total), tuple(ids))


def _wire(content: Content) -> ContentEntry:
    return ContentEntry(
        id=content.id,
        type=content.type,
        text=content.text,
        metadata=dict(content.metadata),
        collection=content.collection,
        thumbnail=content.thumbnail is not None,
    )
