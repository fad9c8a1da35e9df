"""Export and import entries as JSON lines; an interrupted import resumes."""

import base64
import binascii
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from tqdm import tqdm

from app.atomic import atomic_write
from app.contents import COLLECTION, MAX_ID, MAX_TEXT, Content, ContentStore, Entry, FileFacts, VectorModel, content_id
from app.contents.metadata import check_metadata
from app.contents.reindex import encode_entries
from app.errors import InvalidRequest, NotFound, StoreUnavailable
from app.model.encoder import Encoder
from app.model.engines import Floats

PAGE = 256  # entries read or stored at once
CALLS = 64  # concurrent calls: a store commits them in one transaction
SAME = 0.999  # cosine similarity of the embeddings of one entry, from any processor


@dataclass(frozen=True)
class Line:
    """A line of a file with its entry."""

    number: int
    entry: Entry


@dataclass(frozen=True)
class BadLine:
    """A line of a file and its error."""

    number: int
    problem: str


@dataclass
class Imported:
    """The outcome of an import: entries stored, entries already there, and the skipped lines."""

    stored: int = 0
    there: int = 0
    bad: list[BadLine] = field(default_factory=list)


@dataclass(frozen=True)
class Embedding:
    """Embeds the entries that have no embedding of this model."""

    model: VectorModel
    encoder: Encoder
    pixels: Callable[[bytes], Floats]
    threads: int


def export_entries(
    store: ContentStore, path: Path | None, model: VectorModel, collection: str | None, *, vectors: bool, pictures: bool
) -> int:
    """Write entries as JSON lines to a file, atomically, or to standard output; return their number.

    `vectors` also writes their embeddings, `pictures` thumbnails, and originals if they are kept. An entry that is
    replaced meanwhile may be there twice; the later line is the newer one.
    """
    count, position = 0, ""
    with (
        _opened(path) if path else nullcontext(sys.stdout) as file,
        tqdm(total=store.count(collection), unit="entry", disable=not sys.stderr.isatty()) as bar,
    ):
        while True:
            entries, position = store.page(position, PAGE, collection, originals=pictures)
            file.writelines(_written(entry, model, vectors, pictures) + "\n" for entry in entries)
            count += len(entries)
            bar.update(len(entries))
            if not position:
                return count


def _written(entry: Entry, model: VectorModel, vectors: bool, pictures: bool) -> str:
    content = entry.content
    line: dict[str, Any] = {"id": content.id, "type": content.type, "collection": content.collection}
    if content.text is not None:
        line["text"] = content.text
    line["metadata"] = dict(content.metadata)
    if content.file:
        line["file"] = content.file._asdict()
    for name, data in (("thumbnail", content.thumbnail), ("image_data", content.picture)):
        if pictures and data:
            line[name] = base64.b64encode(data).decode()
    if vectors and entry.vector is not None:
        # the shortest decimal that reads back as the same float16
        line |= {"model": model.checksum, "vector": [float(str(each)) for each in entry.vector.astype(np.float16)]}
    return json.dumps(line, ensure_ascii=False)


def import_entries(store: ContentStore, path: Path, embedding: Embedding) -> Imported:
    """Store the entries of a file under their ids; embed those without an embedding of this model.

    Entries that the store already has are skipped, so calling it again resumes an interrupted import. Bad lines are
    skipped and returned. Raises StoreUnavailable, with the number of the line.
    """
    done, last = Imported(), 0
    with ThreadPoolExecutor(CALLS) as calls, ThreadPoolExecutor(embedding.threads) as decoding:
        for lines in _batches(path, embedding.model):
            last = lines[0].number
            done.bad += [line for line in lines if isinstance(line, BadLine)]
            latest = {line.entry.content.id: line for line in lines if isinstance(line, Line)}
            try:
                new = [line for line in calls.map(lambda line: _unless_there(store, line), latest.values()) if line]
                embedded, bad = _embedded(new, embedding, decoding)
                list(calls.map(lambda entry: store.put(*entry), embedded))
            except StoreUnavailable as error:
                raise StoreUnavailable(f"line {last} of {path}: {error}; run the import again to resume") from error
            done.bad += bad
            done.stored += len(embedded)
            done.there += len(latest) - len(new)
    return done


def _unless_there(store: ContentStore, line: Line) -> Line | None:
    """Return the line unless the store already has its entry."""
    wanted, vector = line.entry
    try:
        found = store.get(wanted.id)
    except NotFound:
        return line
    same = replace(wanted, picture=None, thumbnail=wanted.thumbnail or found.thumbnail, file=wanted.file or found.file)
    if found != same:
        return line
    near = vector is None or float(store.vectors([wanted.id])[0] @ vector) > SAME
    return None if near else line


def _embedded(
    lines: Sequence[Line], embedding: Embedding, pool: ThreadPoolExecutor
) -> tuple[list[tuple[Content, Floats]], list[BadLine]]:
    """Return entries with their embeddings, and the lines that cannot be embedded."""
    bare = [line.entry.content for line in lines if line.entry.vector is None]
    encoded = iter(encode_entries(bare, embedding.encoder, embedding.pixels, pool))
    good, bad = [], []
    for line in lines:
        vector = next(encoded) if line.entry.vector is None else line.entry.vector
        if isinstance(vector, Exception):
            bad.append(BadLine(line.number, str(vector) or type(vector).__name__))
        else:
            good.append((line.entry.content, vector))
    return good, bad


def _batches(path: Path, model: VectorModel) -> Iterator[list[Line | BadLine]]:
    batch: list[Line | BadLine] = []
    try:
        with path.open("rb") as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    batch.append(_read(number, text, model))
                if len(batch) == PAGE:
                    yield batch
                    batch = []
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror or error}") from error
    if batch:
        yield batch


def _read(number: int, text: bytes, model: VectorModel) -> Line | BadLine:
    """Parse a line, checked as the HTTP interface would."""
    try:
        record = json.loads(text.decode("utf-8-sig"))
        if not isinstance(record, dict):
            raise ValueError("not an object")
        return Line(number, Entry(_content(record), _vector(record, model)))
    except (ValueError, TypeError, RecursionError, InvalidRequest) as error:
        return BadLine(number, str(error)[:200] or type(error).__name__)


def _content(record: dict[str, Any]) -> Content:
    """Build an entry from a record; raises ValueError, TypeError or InvalidRequest."""
    kind, text, collection = record.get("type"), record.get("text"), record.get("collection", COLLECTION)
    if kind not in ("text", "image") or (kind == "text") is (text is None):
        raise ValueError("`type` is `text`, with a `text`, or `image`, without")
    if text is not None and not (isinstance(text, str) and 1 <= len(text) <= MAX_TEXT):
        raise ValueError(f"`text` has 1 to {MAX_TEXT:,} characters")
    if not (isinstance(collection, str) and 1 <= len(collection) <= MAX_ID):
        raise ValueError(f"`collection` has 1 to {MAX_ID} characters")
    metadata, id = record.get("metadata", {}), record.get("id")
    if not isinstance(metadata, dict) or not isinstance(id, str):
        raise ValueError("`id` is a string and `metadata` an object")
    f"{text}{collection}".encode()  # a lone surrogate is a ValueError
    return Content(
        content_id(id),
        kind,
        text,
        collection,
        check_metadata(metadata),
        _bytes(record, "thumbnail"),
        _bytes(record, "image_data"),
        _file(record.get("file")),
    )


def _bytes(record: dict[str, Any], name: str) -> bytes | None:
    if record.get(name) is None:
        return None
    try:
        return base64.b64decode(record[name], validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise ValueError(f"`{name}` is not base64") from error


def _file(facts: Any) -> FileFacts | None:
    if facts is None:
        return None
    file = FileFacts(**facts)
    sizes = all(type(each) is int and 0 < each < 2**62 for each in file[:3])
    if not sizes or not math.isfinite(file.stored_at) or not re.fullmatch("([0-9a-f]{64})?", file.fingerprint):
        raise ValueError("`file` has width, height and bytes above 0, stored_at in seconds, and perhaps a fingerprint")
    return file._replace(stored_at=float(file.stored_at))


def _vector(record: dict[str, Any], model: VectorModel) -> Floats | None:
    """Return the embedding (D,) in a record if it is from this model; raises ValueError for an invalid one."""
    if record.get("vector") is None or record.get("model") != model.checksum:
        return None
    vector = np.array(record["vector"], np.float32)
    if vector.shape != (model.size,) or not abs(float(vector @ vector) - 1) < 0.01:
        raise ValueError(f"`vector` is not a unit vector of {model.size} numbers")
    return vector


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with atomic_write(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file
