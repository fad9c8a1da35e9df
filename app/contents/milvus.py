"""Contents in a Milvus database, which any number of services share."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from pymilvus import DataType, MilvusClient, MilvusException

from app.contents import EVERYTHING, Content, Hit, VectorModel, Where, not_there
from app.contents.conditions import Condition, Scalar, kind
from app.errors import ContentsError, StoreUnavailable
from app.model.engines import Floats

TIMEOUT = 10  # seconds for one call
_SIGNS = {"eq": "==", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_LONGEST = 65_535  # bytes of a text in Milvus; a thumbnail of 256 pixels, a text, the metadata are less
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
_OPTIONAL = ("text", "thumbnail")


class MilvusContents:
    """A ContentStore in one collection of Milvus, read with strong consistency: what was acknowledged is found.

    Milvus has no transactions: of two services that put one id at the same time, both may say that it is new, and of
    two that `add` equal vectors, both may store theirs.
    """

    def __init__(self, address: str, collection: str, model: VectorModel) -> None:
        """Makes the collection where there is none; raises StoreUnavailable, or ContentsError for another model's."""
        self._collection = collection
        self._model = model
        with _our_errors():
            self._client = MilvusClient(address, timeout=TIMEOUT)
            if not self._client.has_collection(collection):
                self._make()
            self._client.load_collection(collection)
        self._check_model()

    def put(self, content: Content, vector: Floats) -> bool:
        """Store a content in place of the one with its id; returns whether there was none."""
        vector = _rounded(vector)
        row = {name: getattr(content, name, None) for name in _TEXTS} | {
            "metadata": json.dumps(content.metadata, ensure_ascii=False),
            "facts": {key: _fact(value) for key, value in content.metadata.items() if kind(value) != "other"},
            "thumbnail": base64.b64encode(content.thumbnail).decode() if content.thumbnail else None,
            "vector": vector.tolist(),
            "digest": _digest(vector),
            "model": self._model.checksum,
        }
        with _our_errors():
            new = not self._query(f"id == {_literal(content.id)}", ["id"])
            self._client.upsert(self._collection, [row], timeout=TIMEOUT)
        return new

    def add(self, content: Content, vector: Floats) -> str | None:
        """The same, unless a content has exactly this vector already: then its id is returned and nothing is stored."""
        with _our_errors():
            equal = self._query(f"digest == {_literal(_digest(_rounded(vector)))}", ["id"])
        if equal:
            return str(equal[0]["id"])
        self.put(content, vector)
        return None

    def get(self, id: str) -> Content:
        """One content, with its thumbnail; raises NotFound."""
        row = self._row(id, ["id", "type", "text", "collection", "metadata", "thumbnail"])
        thumbnail = base64.b64decode(row["thumbnail"]) if row["thumbnail"] else None
        return Content(
            row["id"], row["type"], row["text"], row["collection"], json.loads(row["metadata"]), thumbnail=thumbnail
        )

    def delete(self, id: str) -> None:
        """Remove a content; raises NotFound."""
        self._row(id, ["id"])
        with _our_errors():
            self._client.delete(self._collection, filter=f"id == {_literal(id)}", timeout=TIMEOUT)

    def vectors(self, ids: Sequence[str]) -> Floats:
        """The vectors (N, D) of N >= 1 contents; raises NotFound."""
        return np.array([self._row(id, ["vector"])["vector"] for id in ids], np.float32)

    def search(self, vector: Floats, k: int, where: Where = EVERYTHING) -> list[Hit]:
        """The k contents nearest to a unit vector (D,), best first; fewer where fewer exist."""
        with _our_errors():
            found = self._client.search(
                self._collection,
                [vector.tolist()],
                filter=_expression(where),
                limit=k,
                output_fields=["type", "metadata"],
                timeout=TIMEOUT,
            )[0]
        return [
            Hit(hit["id"], hit["entity"]["type"], min(hit["distance"], 1.0), json.loads(hit["entity"]["metadata"]))
            for hit in found
        ]

    def count(self, collection: str | None = None) -> int:
        """How many contents there are."""
        with _our_errors():
            return int(self._query(_expression(Where(collection=collection)), ["count(*)"])[0]["count(*)"])

    def refresh(self) -> None:
        """Nothing to do: Milvus is asked at every search."""

    def close(self) -> None:
        """Hang up."""
        self._client.close()

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
        self._client.create_collection(self._collection, schema=schema, index_params=index, consistency_level="Strong")

    def _check_model(self) -> None:
        with _our_errors():
            fields = {field["name"]: field for field in self._client.describe_collection(self._collection)["fields"]}
            others = self._query(f"model != {_literal(self._model.checksum)}", ["count(*)"])[0]["count(*)"]
        if others or int(fields["vector"]["params"]["dim"]) != self._model.size:
            raise ContentsError(
                f"{others} contents in Milvus's collection {self._collection} have vectors of another model than "
                f"{self._model.name}: serve that model, or give LARDER_CONTENTS a new collection and add them again "
                "(`python -m app contents reindex` encodes anew what is in SQLite)"
            )

    def _row(self, id: str, fields: list[str]) -> Mapping[str, Any]:
        with _our_errors():
            rows = self._query(f"id == {_literal(id)}", fields)
        if not rows:
            raise not_there(id)
        return rows[0]

    def _query(self, expression: str, fields: list[str]) -> list[dict[str, Any]]:
        return list(self._client.query(self._collection, filter=expression, output_fields=fields, timeout=TIMEOUT))


def open_milvus(setting: str, model: VectorModel) -> MilvusContents:
    """The collection that `milvus://HOST:PORT/COLLECTION` names; raises StoreUnavailable or ContentsError."""
    host, _, collection = setting.removeprefix("milvus://").partition("/")
    return MilvusContents(f"http://{host}", collection, model)


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except MilvusException as error:
        raise StoreUnavailable(f"Milvus cannot be used: {str(error.message).strip().splitlines()[0]}") from error


def _rounded(vector: Floats) -> Floats:
    """A vector (D,) with numbers of 16 bits, as every store keeps them."""
    return vector.astype(np.float16).astype(np.float32)


def _digest(vector: Floats) -> str:
    return hashlib.blake2b(vector.tobytes(), digest_size=16).hexdigest()


def _fact(value: Scalar) -> Scalar:
    """A value of the metadata so that only its own kind can be equal to it, or in a range with it."""
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
    first = f"{kind(condition.value)} "  # and "!" comes after the space: between them are all facts of this kind
    return f"{test} and {field} >= {_literal(first)} and {field} < {_literal(first[:-1] + '!')}"
