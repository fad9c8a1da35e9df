"""Any sequence of calls on the contents, compared with a dictionary that is searched exhaustively."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from app.contents import Content, Where
from app.contents.index import IndexOptions
from app.contents.local import LocalContents
from app.contents.metadata import Condition
from app.errors import NotFound
from app.model.encoder import unit
from tests.contents.brute import BruteForce, same
from tests.contents.conftest import MODEL

IDS = st.sampled_from(["a", "b", "c/d", "ü'\"", "e", "f"])
COLLECTIONS = st.sampled_from(["default", "other"])
TEXTS = st.sampled_from(["", "1", "a", "b", "ü"]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
NUMBERS = st.integers(-2, 2) | st.floats(-2, 2) | st.integers(-(2**53), 2**53)
VALUES = st.booleans() | NUMBERS | TEXTS
KEYS = st.sampled_from(["n", "s", "o'\"\\."])
METADATA = st.dictionaries(KEYS, VALUES | st.none() | st.lists(VALUES, max_size=2), max_size=3)
VECTORS = (  # few enough that some are equal
    st.tuples(*[st.integers(-1, 1)] * 4).filter(any).map(lambda axes: unit(np.array(axes, np.float32)))
)
CONTENTS = st.one_of(
    st.builds(Content, IDS, st.just("text"), TEXTS, COLLECTIONS, METADATA),
    st.builds(Content, IDS, st.just("image"), st.none(), COLLECTIONS, METADATA, st.none() | st.just(b"\xff\xd8 small")),
)
CONDITIONS = st.one_of(
    st.builds(Condition, KEYS, st.just("eq"), VALUES),
    st.builds(Condition, KEYS, st.just("in"), st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Condition, KEYS, st.sampled_from(["gt", "gte", "lt", "lte"]), NUMBERS | TEXTS),
)
WHERES = st.builds(
    Where,
    st.none() | st.sampled_from(["text", "image"]),
    st.none() | COLLECTIONS,
    st.lists(CONDITIONS, max_size=2).map(tuple),
    st.lists(IDS, max_size=2).map(tuple),
)


class ContentsMachine(RuleBasedStateMachine):
    """A store, and a dictionary of its expected content."""

    def __init__(self, opener):
        super().__init__()
        self.opener = opener
        self.store = opener()
        self.model = BruteForce()

    def teardown(self):
        self.store.close()

    @rule(content=CONTENTS, vector=VECTORS)
    def put(self, content, vector):
        assert self.store.put(content, vector) == self.model.put(content, vector)

    @rule(content=CONTENTS, vector=VECTORS)
    def add(self, content, vector):
        equal = self.model.equal(vector)
        found = self.store.add(content, vector)
        assert found in equal if equal else found is None
        if not equal:
            self.model.put(content, vector)

    @precondition(lambda self: self.model.kept)
    @rule(id=IDS)
    def delete(self, id):
        if id not in self.model.kept:
            with pytest.raises(NotFound):
                self.store.delete(id)
            return
        self.store.delete(id)
        del self.model.kept[id]

    @precondition(lambda self: self.model.kept)
    @rule(query=VECTORS, k=st.integers(1, 8), where=WHERES)
    def search(self, query, k, where):
        assert same(self.store.search(query, k, where), self.model.search(query, k, where))

    @rule(ids=st.lists(IDS, min_size=1, max_size=3))
    def vectors(self, ids):
        assume(all(id in self.model.kept for id in ids))
        assert np.array_equal(self.store.vectors(ids), np.stack([self.model.kept[id][1] for id in ids]))

    @rule()
    def open_again(self):
        self.store.close()
        self.store = self.opener()

    @invariant()
    def it_holds_what_it_was_told(self):
        kept = [content for content, _ in self.model.kept.values()]
        assert [self.store.get(content.id) for content in kept] == kept
        assert self.store.count() == len(kept)
        assert self.store.count("other") == sum(content.collection == "other" for content in kept)


def check(machine, examples, steps):
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=steps))


def test_any_sequence_of_calls_in_sqlite(tmp_path: Path):
    """Each answer is the dictionary's, while the tail turns into segments, segments into lists, and these shrink."""
    small = IndexOptions(tail=2, exact_up_to=4)

    def machine():
        path = tmp_path / f"{uuid.uuid4().hex}.sqlite"
        return ContentsMachine(lambda: LocalContents(path, MODEL, threads=1, options=small))

    check(machine, examples=25, steps=25)


def test_any_sequence_of_calls_in_milvus(tmp_path: Path):
    """Each sequence has a separate Milvus collection."""
    from app.contents.milvus import MilvusContents

    def machine():
        collection = f"c{uuid.uuid4().hex}"
        return ContentsMachine(lambda: MilvusContents(str(tmp_path / "lite.db"), collection, MODEL))

    check(machine, examples=6, steps=15)
