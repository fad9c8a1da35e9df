"""Any sequence of calls on a pantry, compared with two dictionaries."""

import uuid
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from app.components import open_pantry
from app.errors import InvalidRequest, NotFound
from app.pantry import MAX_COUNT, Item, Key
from app.pantry.examples import new_example
from app.settings import Settings
from app.text import normalise

NAMES = st.sampled_from(["rice", "oats", "weißbier", "weissbier", "50% off"])  # two are spellings of one item
QUANTITIES = st.integers(0, 5) | st.integers(0, MAX_COUNT)
KEYS = st.none() | st.sampled_from(["one key", "another key", "a third"])
VECTORS = st.lists(st.integers(0, 5), max_size=3)


class PantryMachine(RuleBasedStateMachine):
    """A pantry and its expected content; a key maps to the answer of the first change that used it."""

    def __init__(self, opener):
        super().__init__()
        self.opener = opener
        self.store = opener()
        self.counts, self.taught, self.answers = {}, {}, {}
        self.stamp = self.store.stamp()

    def teardown(self):
        self.store.close()

    def own_name(self, item):
        return next((name for name in self.counts if normalise(name) == normalise(item)), item)

    @rule(operation=st.sampled_from(["put", "add", "remove"]), item=NAMES, quantity=QUANTITIES, key=KEYS)
    def count(self, operation, item, quantity, key):
        name, call = self.own_name(item), getattr(self.store, operation)
        before = self.counts.get(name)
        if operation == "put":
            expected = Item(name, quantity)
        elif operation == "add":
            expected = Item(name, min((before or 0) + quantity, MAX_COUNT))
        elif before is None:
            expected = NotFound
        else:
            expected = Item(name, max(before - quantity, 0), removed=min(before, quantity))
        self.change(lambda key: call(item, quantity, key), f"{operation} {item} {quantity}", key, expected)

    @rule(item=NAMES, key=KEYS)
    def delete(self, item, key):
        expected = None if self.own_name(item) in self.counts else NotFound
        self.change(lambda key: self.store.delete(item, key), f"delete {item}", key, expected, self.own_name(item))

    def change(self, call, request, key, expected, deleted=None):
        """Check the answer, of this change or the one that first came with the key, and count it once."""
        first = self.answers.get(key)
        if first and first[0] != request:
            expected = InvalidRequest
        elif first:
            expected = first[1]
        if isinstance(expected, type):
            with pytest.raises(expected):
                call(Key(key, request) if key else None)
            return
        assert call(Key(key, request) if key else None) == expected
        if first:
            return
        if deleted:
            del self.counts[deleted]
            self.taught.pop(deleted, None)
        else:
            self.counts[expected.item] = expected.count
        if key:
            self.answers[key] = (request, expected)

    @rule(item=NAMES, numbers=VECTORS)
    def teach(self, item, numbers):
        name = self.own_name(item)
        examples = [new_example(name, "a model", np.float32([np.cos(n), np.sin(n)])) for n in numbers]
        self.store.teach(item, examples)
        self.counts.setdefault(name, 0)
        self.taught.setdefault(name, {}).update((each.id, each.vector.tolist()) for each in examples)

    @rule(item=NAMES, every=st.booleans())
    def forget(self, item, every):
        name = self.own_name(item)
        taught = self.taught.get(name, {})
        chosen = list(taught)[: None if every else 1]
        if name in self.counts:
            assert self.store.forget(item, None if every else chosen) == len(chosen)
            self.taught[name] = {id: vector for id, vector in taught.items() if id not in chosen}

    @rule()
    def open_again(self):
        self.store.close()
        self.store = self.opener()
        self.stamp = self.store.stamp()
        self.names = self.facts()

    def facts(self):
        return (
            sorted(self.counts),
            {name: list(taught) for name, taught in self.taught.items() if taught},
        )

    names = ([], {})

    @invariant()
    def it_holds_what_it_was_told(self):
        assert self.store.items() == dict(sorted(self.counts.items()))
        kept = {}
        for example in self.store.examples():
            kept.setdefault(example.item, {})[example.id] = example.vector.tolist()
        assert {name: list(taught.items()) for name, taught in kept.items()} == {
            name: list(taught.items()) for name, taught in self.taught.items() if taught
        }

    @invariant()
    def its_journal_ends_with_the_counts(self):
        """The newest entry of each item has its count; an item that was only taught has none."""
        newest = {}
        for entry in self.store.journal(limit=1000)[0]:
            newest.setdefault(entry.item, entry.after)
        assert {name: count for name, count in newest.items() if count} == {
            name: count for name, count in self.counts.items() if count
        }
        assert all(newest[name] is None for name in newest if name not in self.counts)

    @rule()
    def undo_and_undo_that(self):
        """Undo the newest change, then the undo: everything is as before."""
        if entries := self.store.journal(limit=1)[0]:
            item = entries[0].item
            if entries[0].after is None or self.counts[item] == entries[0].after:
                self.store.undo(self.store.undo(entries[0].id).id)

    @invariant()
    def its_stamp_tells_of_names_and_examples(self):
        if self.facts() != self.names:
            assert self.store.stamp() != self.stamp
        self.stamp, self.names = self.store.stamp(), self.facts()


def check(opener, examples, steps=25):
    bounds = settings(max_examples=examples, stateful_step_count=steps)
    run_state_machine_as_test(lambda: PantryMachine(opener()), settings=bounds)


def test_any_sequence_of_calls_in_sqlite(tmp_path: Path):
    """Counts, names, examples, keys and stamps are those of the dictionaries, also when the file is opened again."""

    def opener():
        config = Settings(pantry="sqlite", data=tmp_path / uuid.uuid4().hex)
        return lambda: open_pantry(config)

    check(opener, examples=25)


def test_any_sequence_of_calls_in_firestore(emulator, monkeypatch):
    """The same, and each reopening waits for the listener's first snapshot as a start of the service does."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", emulator.host)

    def opener():
        config = Settings(pantry=f"firestore://test-{uuid.uuid4().hex[:20]}/pantry")
        return lambda: open_pantry(config)

    check(opener, examples=6, steps=12)
