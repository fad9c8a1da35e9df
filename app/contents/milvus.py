"""Content store in a Milvus database, shared by any number of services."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]
import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from app.contents import EVERYTHING, Content, Entry, FileFacts, Hit, Scanned, VectorModel, Where, not_there
from app.contents.metadata import Condition, Scalar, kind
from app.deadline import seconds_left
from app.errors import ContentsError, StoreUnavailable
from app.model.engines import Floats

SCANNED = 1000  # entries fetched at once
TIMEOUT_S = 10.0  # for one call, unless the caller's deadline is earlier
_NOT_OPEN = (100, 101)  # Milvus's codes for a collection that does not exist, or is not loaded into memory
_CLIENT_ERRORS = (MilvusException, grpc.RpcError, grpc.FutureTimeoutError, OSError, ValueError)  # what pymilvus raises
_SIGNS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LONGEST = 65_535  # bytes of a text in Milvus; a thumbnail of 256 pixels, a text and the metadata are smaller
_TEXTS = {  # name and bytes
    "id": 800,
    "type": 10,
    "text": _LONGEST,
    "collection": 800,
    "metadata": _LONGEST,
    "thumbnail": _LONGEST,
    "digest": 32,
    "model": 128,
}
_FIELDS = ["id", "type", "text", "collection", "metadata", "thumbnail"]
_OPTIONAL = ("text", "thumbnail")
_PERHAPS_STORED = "; it is not known whether the change was stored"


class MilvusContents:
    """A ContentStore in one collection of Milvus, read with strong consistency: acknowledged entries are found.

    Milvus has no transactions: if two services `put` one id at the same time, both may report it as new, and if two
    `add` equal vectors, both may store theirs.
    """

    def __init__(self, address: str, collection: str, model: VectorModel) -> None:
        """Open the collection, created if missing; raises StoreUnavailable, or ContentsError for another model."""
        self._collection = collection
        self._model = model
        self._opening = threading.Lock()
        with _failures():
            self._client = MilvusClient(address, timeout=TIMEOUT_S)
        self._open()

    def put(self, content: Content, vector: Floats) -> bool:
        """Create or replace the entry with this id; return whether it is new."""
        vector = _rounded(vector)
        row = {name: getattr(content, name, None) for name in _TEXTS} | {
            "metadata": _metadata(content),
            "facts": {key: _fact(value) for key, value in content.metadata.items() if kind(value) != "other"},
            "thumbnail": base64.b64encode(content.thumbnail).decode() if content.thumbnail else None,
            "vector": vector.tolist(),
            "digest": _digest(vector),
            "model": self._model.checksum,
        }
        new = not self._query(f"id == {_literal(content.id)}", ["id"])
        self._call("upsert", _PERHAPS_STORED, data=[row])
        return new

    def add(self, content: Content, vector: Floats) -> str | None:
        """Like `put`, unless an entry has exactly this vector: then return its id and store nothing."""
        if equal := self._query(f"digest == {_literal(_digest(_rounded(vector)))}", ["id"]):
            return str(equal[0]["id"])
        self.put(content, vector)
        return None

    def get(self, id: str) -> Content:
        """Return one entry, with its thumbnail; raises NotFound."""
        return _content(self._row(id, _FIELDS))

    def delete(self, id: str) -> None:
        """Remove an entry; raises NotFound."""
        self._row(id, ["id"])
        self._call("delete", _PERHAPS_STORED, filter=f"id == {_literal(id)}")

    def vectors(self, ids: Sequence[str]) -> Floats:
        """Return the vectors (N, D) of N >= 1 entries; raises NotFound."""
        return np.array([self._row(id, ["vector"])["vector"] for id in ids], np.float32)

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """Return the k nearest entries to a unit vector (D,), best first; fewer if fewer exist."""
        fields = ["type", "metadata"]
        found = self._call("search", data=[vector.tolist()], filter=_expression(where), limit=k, output_fields=fields)[
            0
        ]
        return [
            Hit(
                hit["id"],
                hit["entity"]["type"],
                min(hit["distance"], 1.0),
                json.loads(hit["entity"]["metadata"].partition("\n")[0]),
            )
            for hit in found
        ]

    def page(
        self,
        position: str,
        limit: int,
        collection: str | None = None,
        *,
        originals: bool = False,  # noqa: ARG002 - of the protocol
    ) -> tuple[list[Entry], str]:
        """Return entries by id; a position is the id of the last one. Originals are not stored."""
        behind = [f"id > {_literal(position)}"] if position else []
        expression = " and ".join(behind + [part for part in [_expression(Where(collection=collection))] if part])
        # a query with a limit returns any entries; the iterator returns them by id
        iterator = self._call("query_iterator", filter=expression, output_fields=[*_FIELDS, "vector"], batch_size=limit)
        with _failures(), closing(iterator):
            rows = list(iterator.next())[:limit]
        entries = [Entry(_content(row), np.array(row["vector"], np.float32)) for row in rows]
        return entries, entries[-1].content.id if len(entries) == limit else ""

    def scan(self, where: Where = EVERYTHING) -> Iterator[Scanned]:
        """Yield all matching entries in batches."""
        fields, expression = ["id", "vector", "metadata"], _expression(where)
        iterator = self._call("query_iterator", filter=expression, output_fields=fields, batch_size=SCANNED)
        with _failures(), closing(iterator):
            while rows := iterator.next():
                files = [_file(row["metadata"]) for row in rows]
                vectors = np.array([row["vector"] for row in rows], np.float32)
                yield Scanned(
                    [row["id"] for row in rows], vectors, [file.fingerprint if file else "" for file in files]
                )

    def rename_collection(self, old: str, new: str, most: int) -> int:
        """Move at most `most` entries of a collection to another; return their number."""
        rows = self._call("query", filter=_expression(Where(collection=old)), output_fields=["*"], limit=most)
        if rows:
            self._call("upsert", _PERHAPS_STORED, data=[{**row, "collection": new} for row in rows])
        return len(rows)

    def delete_collection(self, collection: str, most: int) -> int:
        """Delete at most `most` entries of a collection; return their number."""
        rows = self._call("query", filter=_expression(Where(collection=collection)), output_fields=["id"], limit=most)
        if rows:
            self._call("delete", _PERHAPS_STORED, filter=f"id in {_literal([row['id'] for row in rows])}")
        return len(rows)

    def count(self, collection: str | None = None) -> int:
        """Count all entries, or those of one collection."""
        return int(self._query(_expression(Where(collection=collection)), ["count(*)"])[0]["count(*)"])

    def refresh(self) -> None:
        """Do nothing: every search reads Milvus."""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _open(self) -> None:
        """Load the collection, created if missing; raises StoreUnavailable or ContentsError."""
        with self._opening, _failures():
            if not self._client.has_collection(self._collection, timeout=_timeout()):
                self._make()
            self._client.load_collection(self._collection, timeout=_timeout())
            description = self._client.describe_collection(self._collection, timeout=_timeout())
        self._check_fields({field["name"]: field for field in description["fields"]})
        others = f"model != {_literal(self._model.checksum)}"
        with _failures():
            counted = self._client.query(
                self._collection, filter=others, output_fields=["count(*)"], timeout=_timeout()
            )
        if count := counted[0]["count(*)"]:
            raise ContentsError(
                f"{count} entries in Milvus's collection {self._collection} have vectors of another model than "
                f"{self._model.name}: serve that model, or give LARDER_CONTENTS a new collection and add them again "
                "(`python -m app contents reindex` re-encodes what is in SQLite)"
            )

    def _check_fields(self, fields: Mapping[str, Any]) -> None:
        """Raise ContentsError if another program made the collection, or if its vectors have another size."""
        where = f"Milvus's collection {self._collection}"
        missing = {*_TEXTS, "facts", "vector"} - set(fields)
        if missing or "dim" not in fields["vector"].get("params", {}):
            raise ContentsError(
                f"{where} was not made by Larder: its fields are {', '.join(fields)}; "
                "name another collection in LARDER_CONTENTS, it is created if missing"
            )
        size = int(fields["vector"]["params"]["dim"])
        if size != self._model.size:
            raise ContentsError(
                f"{where} has vectors of {size} numbers, those of {self._model.name} have {self._model.size}: "
                "serve the model that filled it, or name another collection in LARDER_CONTENTS"
            )

    def _make(self) -> None:
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for name, longest in _TEXTS.items():
            schema.add_field(
                name, DataType.VARCHAR, max_length=longest, is_primary=name == "id", nullable=name in _OPTIONAL
            )
        schema.add_field("facts", DataType.JSON)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._model.size)
        index = MilvusClient.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="IP")
        self._client.create_collection(
            self._collection, schema=schema, index_params=index, consistency_level="Strong", timeout=_timeout()
        )

    def _row(self, id: str, fields: list[str]) -> Mapping[str, Any]:
        rows = self._query(f"id == {_literal(id)}", fields)
        if not rows:
            raise not_there(id)
        return rows[0]

    def _query(self, expression: str, fields: list[str]) -> list[dict[str, Any]]:
        return list(self._call("query", filter=expression, output_fields=fields))

    def _call(self, name: str, outcome: str = "", **arguments: Any) -> Any:
        """Call the client; if the collection was released or dropped, open it again and retry."""
        call = getattr(self._client, name)
        with _failures(outcome):
            try:
                return call(self._collection, timeout=_timeout(), **arguments)
            except MilvusException as error:
                if error.code not in _NOT_OPEN:
                    raise
        try:
            self._open()
        except ContentsError as error:  # no start to abort: another program has recreated the collection
            raise StoreUnavailable(str(error)) from error
        with _failures(outcome):
            return call(self._collection, timeout=_timeout(), **arguments)


def open_milvus(setting: str, model: VectorModel) -> MilvusContents:
    """Open the collection of `milvus://HOST:PORT/COLLECTION`; raises StoreUnavailable or ContentsError."""
    host, _, collection = setting.removeprefix("milvus://").partition("/")
    return MilvusContents(f"http://{host}", collection, model)


@contextmanager
def _failures(outcome: str = "") -> Iterator[None]:
    """Map the client's errors to StoreUnavailable; `outcome` is the outcome of a change."""
    try:
        yield
    except _CLIENT_ERRORS as error:
        lines = (getattr(error, "message", "") or getattr(error, "details", str)() or str(error)).strip().splitlines()
        raise StoreUnavailable(
            f"Milvus cannot be used: {lines[0] if lines else type(error).__name__}{outcome}"
        ) from error


def _timeout() -> float:
    return max(0.01, seconds_left(TIMEOUT_S))


def _metadata(content: Content) -> str:
    """Serialise the metadata, followed by the file's: JSON has no line feed, and Milvus no further fields."""
    text = json.dumps(content.metadata, ensure_ascii=False)
    return f"{text}\n{json.dumps(content.file)}" if content.file else text


def _content(row: Mapping[str, Any]) -> Content:
    return Content(
        row["id"],
        row["type"],
        row["text"],
        row["collection"],
        json.loads(row["metadata"].partition("\n")[0]),
        thumbnail=base64.b64decode(row["thumbnail"]) if row["thumbnail"] else None,
        file=_file(row["metadata"]),
    )


def _file(metadata: str) -> FileFacts | None:
    _, _, file = metadata.partition("\n")
    return FileFacts(*json.loads(file)) if file else None


def _rounded(vector: Floats) -> Floats:
    """Round a vector (D,) to float16, as every store keeps it."""
    return vector.astype(np.float16).astype(np.float32)


def _digest(vector: Floats) -> str:
    return hashlib.blake2b(vector.tobytes(), digest_size=16).hexdigest()


def _fact(value: Scalar) -> Scalar:
    """Encode a metadata value with its type, so that only values of the same type match it."""
    if kind(value) == "number":
        return value
    return f"{kind(value)} {value}"


def _literal(value: Scalar | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _expression(where: Where) -> str:
    parts = [
        f"{name} == {_literal(wanted)}"
        for name, wanted in (("type", where.type), ("collection", where.collection))
        if wanted is not None
    ]
    if where.without:
        parts.append(f"id not in {_literal(list(where.without))}")
    parts += [f"({_test(condition)})" for condition in where.conditions]
    return " and ".join(parts)


def _test(condition: Condition) -> str:
    field = f"facts[{_literal(condition.key)}]"
    if isinstance(condition.value, tuple):
        return " or ".join(f"{field} == {_literal(_fact(value))}" for value in condition.value)
    test = f"{field} {_SIGNS[condition.operator]} {_literal(_fact(condition.value))}"
    if kind(condition.value) == "number":
        return test
    first = f"{kind(condition.value)} "  # "!" follows the space: all facts of this type are between them
    return f"{test} and {field} >= {_literal(first)} and {field} < {_literal(first[:-1] + '!')}"
