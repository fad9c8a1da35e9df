"""Calls that store and search entries: texts and pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from larder_client.answers import Content, Contents, DuplicateJob, Hits, duplicate_job, hits, read
from larder_client.answers import contents as _contents
from larder_client.calls import Call, part
from larder_client.pictures import Picture, as_field

COLLECTION = "default"


def put_text(
    id: str, text: str, *, metadata: Mapping[str, Any] | None = None, collection: str = COLLECTION
) -> Call[Content]:
    """Create or replace the entry with this id: a text (`PUT /contents/{id}`)."""
    return _put(id, {"type": "text", "text": text}, metadata, collection)


def put_picture(
    id: str,
    picture: Picture,
    *,
    metadata: Mapping[str, Any] | None = None,
    collection: str = COLLECTION,
    thumbnail: bool = True,
    shrink: bool = True,
) -> Call[Content]:
    """Create or replace the entry with this id: a picture (`PUT /contents/{id}`)."""
    body = {"type": "image", "thumbnail": thumbnail} | as_field(picture, shrink)
    return _put(id, body, metadata, collection)


def content(id: str) -> Call[Content]:
    """Return one stored entry (`GET /contents/{id}`)."""
    return Call("GET", _path(id), lambda data: read(Content, data))


def delete_content(id: str) -> Call[None]:
    """Delete an entry (`DELETE /contents/{id}`)."""
    return Call("DELETE", _path(id), lambda _: None, gone=lambda: None)


def count_contents(collection: str | None = None) -> Call[int]:
    """Count the entries, of all collections or of one (`GET /contents`)."""
    query = f"?{urlencode({'collection': collection})}" if collection else ""
    return Call("GET", f"/contents{query}", lambda data: int(data["count"]))


def contents(collection: str | None = None, *, cursor: str | None = None, limit: int = 100) -> Call[Contents]:
    """Return a page of the entries, of all collections or one, with the next page's cursor (`GET /contents`)."""
    given = {"collection": collection, "cursor": cursor, "limit": str(limit)}
    query = urlencode({name: each for name, each in given.items() if each is not None})
    return Call("GET", f"/contents?{query}", _contents)


def rename_collection(collection: str, to: str, *, merge: bool = False) -> Call[int]:
    """Rename a collection, and return the number of entries moved (`POST /contents/rename`)."""
    body = {"collection": collection, "to": to, "merge": merge}
    return Call("POST", "/contents/rename", lambda data: int(data["renamed"]), body, gone=lambda: 0)


def delete_collection(collection: str) -> Call[int]:
    """Delete a collection with all of its entries, and return their number (`DELETE /contents`)."""
    query = urlencode({"collection": collection})
    return Call("DELETE", f"/contents?{query}", lambda data: int(data["deleted"]), gone=lambda: 0)


def thumbnail(id: str) -> Call[bytes]:
    """Return a picture's thumbnail, a JPEG of at most 256 pixels a side (`GET /thumbnails/{id}`)."""
    return Call("GET", f"/thumbnails/{part(id)}", bytes, media="image/jpeg")


@dataclass(frozen=True)
class Query:
    """One of several queries: a text, a picture or the id of an entry; a negative weight searches away from it."""

    text: str | None = None
    picture: Picture | None = None
    id: str | None = None
    weight: float = 1.0


def search(
    text: str | None = None,
    *,
    picture: Picture | None = None,
    id: str | None = None,
    ids: Sequence[str] | None = None,
    queries: Sequence[Query] | None = None,
    cursor: str | None = None,
    k: int = 10,
    min_score: float | None = None,
    only: Literal["text", "image"] | None = None,
    type: Literal["text", "image"] | None = None,
    collection: str | None = None,
    filter: Mapping[str, Any] | None = None,
    shrink: bool = True,
) -> Call[Hits]:
    """Find the entries most similar to a text, a picture, or stored entries, best first (`POST /contents/search`).

    `queries` are several weighted queries at once; for the next page send the `cursor` of the previous hits instead.
    `filter` is on the metadata: `{"shelf": 2, "year": {"gte": 2020}, "kind": {"in": ["a", "b"]}}`. `only` restricts the
    type of the hits; `type` is its older name.
    """
    wanted = _query(Query(text, picture, id), shrink) | {
        "ids": None if ids is None else list(ids),
        "queries": None if queries is None else [_query(each, shrink) | {"weight": each.weight} for each in queries],
        "cursor": cursor,
        "min_score": min_score,
        "only": only or type,
        "collection": collection,
    }
    body = {"k": k, "filter": dict(filter or {})} | {name: each for name, each in wanted.items() if each is not None}
    return Call("POST", "/contents/search", hits, body)


def duplicates(
    collection: str | None = None,
    *,
    only: Literal["text", "image"] | None = None,
    distance: Literal["copy", "scene", "alike"] = "copy",
    min_score: float | None = None,
) -> Call[DuplicateJob]:
    """Start a search for groups of near-duplicates (`POST /contents/duplicates`); poll it with `job`."""
    wanted = {"collection": collection, "only": only, "distance": distance, "min_score": min_score}
    body = {name: each for name, each in wanted.items() if each is not None}
    return Call("POST", "/contents/duplicates", duplicate_job, body)


def job(id: str, *, offset: int = 0, limit: int = 100) -> Call[DuplicateJob]:
    """Return a search for near-duplicates, with a page of its groups when it is done (`GET /jobs/{id}`)."""
    return Call("GET", f"/jobs/{part(id)}?{urlencode({'offset': offset, 'limit': limit})}", duplicate_job)


def _query(query: Query, shrink: bool) -> dict[str, Any]:
    picture = {} if query.picture is None else as_field(query.picture, shrink)
    fields = {"text": query.text, "id": query.id} | picture
    return {name: each for name, each in fields.items() if each is not None}


def _put(id: str, what: dict[str, Any], metadata: Mapping[str, Any] | None, collection: str) -> Call[Content]:
    body = what | {"metadata": dict(metadata or {}), "collection": collection}
    return Call("PUT", _path(id), lambda data: read(Content, data), body)


def _path(id: str) -> str:
    return f"/contents/{part(id)}"
