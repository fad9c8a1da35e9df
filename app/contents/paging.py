"""Page through search results: a cursor is the query with a position, so changes of the entries do not shift pages."""

import base64
import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np

from app.contents import MAX_IDS, ContentStore, Hit, Where
from app.errors import InvalidRequest
from app.model.engines import Floats

MAX_HITS = 10_000  # hits of all pages together
MAX_CANDIDATES = 16_384  # requested from a store at once; Milvus allows no more
TOLERANCE = 1e-5  # difference of an unchanged entry's score between two searches, from the order of summation
MAX_CURSOR = 400_000  # characters; fits the largest embedding, the ids of a query, and thousands of equal scores
_DIGEST_BYTES = 8


@dataclass(frozen=True)
class SearchQuery:
    """A unit vector (D,) to search by, the ids to exclude (`without`), and how far its hits have been returned.

    `last` is the score of the last hit returned, `ties` are digests of the ids returned with about that score.
    """

    vector: Floats
    without: tuple[str, ...] = ()
    returned: int = 0
    last: float = 2.0  # above every cosine similarity
    ties: frozenset[str] = frozenset()


def search_page(
    store: ContentStore, query: SearchQuery, k: int, where: Where, min_score: float = -1.0
) -> tuple[list[Hit], SearchQuery | None]:
    """Return the next k hits with at least `min_score`, and the query for the following page, None at the end.

    Every entry that exists throughout is on exactly one page. Entries added before the position are on none.
    """
    where, wanted = replace(where, without=query.without), min(query.returned + k + 1, MAX_CANDIDATES)
    while True:
        candidates = store.search(query.vector, wanted, where)
        hits = [
            hit
            for hit in candidates
            if min_score <= hit.score <= query.last + TOLERANCE and _digest(hit.id) not in query.ties
        ]
        exhausted = len(candidates) < wanted or candidates[-1].score < min_score or wanted == MAX_CANDIDATES
        if len(hits) > k or exhausted:
            break
        wanted = min(2 * wanted, MAX_CANDIDATES)
    page, returned = hits[:k], query.returned + k
    if len(hits) <= k or returned >= MAX_HITS:
        return page, None
    last = min(page[-1].score, query.last)
    ties = {_digest(hit.id) for hit in page if hit.score <= last + 2 * TOLERANCE}
    if query.last <= last + 2 * TOLERANCE:
        ties |= query.ties
    return page, replace(query, returned=returned, last=last, ties=frozenset(ties))


def encode_cursor(query: SearchQuery, search: str) -> str:
    """Serialise a query for URLs and JSON; `search` is everything else that its pages depend on."""
    rest = [list(query.without), query.returned, query.last, sorted(query.ties)]
    return base64.urlsafe_b64encode(
        _digest(search).encode() + query.vector.astype("<f4").tobytes() + json.dumps(rest).encode()
    ).decode()


def decode_cursor(text: str, search: str, size: int) -> SearchQuery:
    """Parse what `encode_cursor` wrote, for vectors of `size` numbers; raises InvalidRequest for anything else."""
    try:
        data = base64.urlsafe_b64decode(text.encode("ascii"))
        begin, end = 2 * _DIGEST_BYTES, 2 * _DIGEST_BYTES + 4 * size
        without, returned, last, ties = json.loads(data[end:])
        query = SearchQuery(
            np.frombuffer(data[begin:end], "<f4").astype(np.float32),
            tuple(map(str, without)),
            int(returned),
            float(last),
            frozenset(map(str, ties)),
        )
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InvalidRequest("the cursor is not one of this service: send it unchanged") from error
    if data[:begin] != _digest(search).encode():
        raise InvalidRequest("the cursor is of another search: send it with the same filters, collection and min_score")
    within = 0 <= query.returned < MAX_HITS and len(query.without) <= MAX_IDS and len(query.ties) <= MAX_HITS
    if not within or not abs(float(query.vector @ query.vector) - 1) < 0.01 or not -2 <= query.last <= 2:
        raise InvalidRequest("the cursor is not one of this service: its position is impossible")
    return query


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
