"""Entries are exported as JSON lines and imported, and an interrupted import resumes."""

import json

import numpy as np
import pytest

from app.contents import Content, FileFacts
from app.contents.transfer import Embedding, export_entries, import_entries
from app.errors import InvalidImage, InvalidRequest, StoreUnavailable
from tests.contents.brute import drawn
from tests.contents.conftest import MODEL

X, Y = np.eye(4, dtype=np.float32)[:2]


class Counting:
    """An encoder that counts what it embeds: texts become X, pictures Y."""

    def __init__(self):
        self.seen = []

    def texts(self, texts):
        self.seen += texts
        return np.tile(X, (len(texts), 1))

    def pictures(self, pixels):
        self.seen += ["picture"] * len(pixels)
        return np.tile(Y, (len(pixels), 1))


def pixels(data):
    if data != b"picture":
        raise InvalidImage("not a picture")
    return np.zeros((3, 1, 1), np.float32)


@pytest.fixture
def embedding():
    return Embedding(MODEL, Counting(), pixels, threads=1)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "entries.jsonl"


def entries(store):
    return {each.content.id: (each.content, each.vector.tolist()) for each in store.page("", 1000)[0]}


def emptied(store):
    for id in entries(store):
        store.delete(id)
    return store


def filled(store):
    for number, vector in enumerate(drawn(np.random.default_rng(0), 20)):
        store.put(Content(f"text {number}", "text", f"ü {number}\u2028", "ab"[number % 2], {"n": number}), vector)
    picture = Content("p", "image", None, "a", {}, thumbnail=b"small", file=FileFacts(4, 3, 7, 1.5))
    store.put(picture, Y)
    return store


def test_what_is_exported_comes_back(store, file, embedding):
    """With vectors and pictures, entries are restored bit for bit, and nothing is embedded."""
    before = entries(filled(store))
    assert export_entries(store, file, MODEL, None, vectors=True, pictures=True) == 21
    done = import_entries(emptied(store), file, embedding)
    assert (done.stored, done.there, done.bad) == (21, 0, [])
    assert entries(store) == before
    assert embedding.encoder.seen == []


def test_an_import_goes_on(store, file, embedding):
    """Entries that are already stored are neither embedded nor stored again; others are."""
    export_entries(filled(store), file, MODEL, "a", vectors=True, pictures=False)
    store.delete("text 4")
    store.put(Content("text 6", "text", "another text", "a"), X)
    done = import_entries(store, file, embedding)
    assert (done.stored, done.there) == (2, 9)
    assert store.get("text 6").text == "ü 6\u2028"
    assert store.get("p").thumbnail == b"small"


def test_without_a_vector_of_this_model_it_is_embedded(store, file, embedding):
    """Texts and originals are; a picture without an original is a bad line."""
    other = {"model": "another", "vector": [1, 0]}
    lines = [
        {"id": "t", "type": "text", "text": "red"} | other,
        {"id": "p", "type": "image", "image_data": "cGljdHVyZQ=="} | other,
        {"id": "q", "type": "image"} | other,
        {"id": "r", "type": "image", "image_data": "YQ=="},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = import_entries(store, file, embedding)
    assert [(line.number, line.problem) for line in done.bad] == [
        (3, "the original was not kept"),
        (4, "not a picture"),
    ]
    assert sorted(entries(store)) == ["p", "t"]
    assert embedding.encoder.seen == ["red", "picture"]
    assert (store.vectors(["t", "p"]) == np.stack([X, Y])).all()


GOOD = {"id": "a", "type": "text", "text": "a"}
BAD = [
    "no JSON",
    "[]",
    "{}",
    json.dumps(GOOD | {"id": ""}),
    json.dumps(GOOD | {"id": 7}),
    json.dumps(GOOD | {"id": "a\nb"}),
    json.dumps(GOOD | {"type": "sound"}),
    json.dumps(GOOD | {"type": "image"}),
    json.dumps(GOOD | {"text": ""}),
    json.dumps(GOOD | {"text": "x" * 10_001}),
    json.dumps(GOOD | {"text": "half \ud800"}),
    json.dumps(GOOD | {"collection": 1}),
    json.dumps(GOOD | {"metadata": [1]}),
    json.dumps(GOOD | {"metadata": {"a": float("nan")}}),
    json.dumps(GOOD | {"metadata": {"a": "x" * 16_384}}),
    json.dumps(GOOD | {"thumbnail": "!"}),
    json.dumps(GOOD | {"file": {"width": 1}}),
    json.dumps(GOOD | {"file": {"width": -1, "height": 1, "bytes": 1, "stored_at": 1}}),
    json.dumps(GOOD | {"model": MODEL.checksum, "vector": [1, 0]}),
    json.dumps(GOOD | {"model": MODEL.checksum, "vector": [1, 1, 1, 1]}),
    json.dumps(GOOD | {"model": MODEL.checksum, "vector": ["a"] * 4}),
    "[" * 100_000,
]


def test_bad_lines_are_told_by_number(store, file, embedding):
    """Each bad line has its reason, and the lines between them are stored; empty lines are skipped."""
    good = [json.dumps(GOOD | {"id": str(number)}) for number in range(len(BAD))]
    lines = [line for pair in zip(good, BAD, strict=True) for line in pair]
    file.write_bytes("\n".join([*lines, "", ""]).encode() + b"\xff\n")
    done = import_entries(store, file, embedding)
    numbers = sorted(line.number for line in done.bad)
    assert numbers == [*range(2, 2 * len(BAD) + 1, 2), 2 * len(BAD) + 2]
    assert all(line.problem for line in done.bad)
    assert (done.stored, store.count()) == (len(BAD), len(BAD))


def test_the_later_of_two_lines_counts(store, file, embedding):
    """An entry that is replaced during the export is in the file twice."""
    file.write_text("".join(json.dumps(GOOD | {"text": text}) + "\n" for text in ("old", "new")))
    import_entries(store, file, embedding)
    assert store.get("a").text == "new"


def test_a_store_that_goes_away_says_where_it_came_to(file, embedding, tmp_path):
    """The message also says that the same command resumes."""
    from app.contents.local import LocalContents

    store = LocalContents(tmp_path / "contents.sqlite", MODEL, threads=1, searched=False)
    file.write_text(json.dumps(GOOD) + "\n")
    store._database._writer.execute("ALTER TABLE facts RENAME TO lost")
    store._database._writer.execute("ALTER TABLE vectors RENAME TO lost_too")
    with pytest.raises(StoreUnavailable, match="line 1 of .*run the import again to resume"):
        import_entries(store, file, embedding)
    store.close()


def test_a_file_that_is_not_there_is_said(store, tmp_path, embedding):
    """The error names the file."""
    with pytest.raises(InvalidRequest, match="no.jsonl cannot be read: No such file"):
        import_entries(store, tmp_path / "no.jsonl", embedding)
