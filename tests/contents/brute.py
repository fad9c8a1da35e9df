"""The slow and obvious store: a dictionary, looked through from end to end."""

from dataclasses import replace

import numpy as np

from app.contents import EVERYTHING, Content, Hit, Where
from app.contents.conditions import Condition
from app.model.encoder import unit


class BruteForce:
    """What every store must answer like; vectors are rounded to 16 bits as theirs are."""

    def __init__(self):
        self.kept = {}

    def put(self, content, vector):
        new = content.id not in self.kept
        self.kept[content.id] = (replace(content, picture=None), vector.astype(np.float16).astype(np.float32))
        return new

    def search(self, vector, k, where=EVERYTHING):
        found = [
            Hit(content.id, content.type, float(own @ vector), content.metadata)
            for content, own in self.kept.values()
            if where.holds(content)
        ]
        return sorted(found, key=lambda hit: -hit.score)[:k]


def same(hits, expected, places=1e-5):
    """Whether hits are the expected ones: the same ids, but for the order of scores that are equal."""
    assert len(hits) == len(expected)
    assert len({hit.id for hit in hits}) == len(hits)
    assert np.allclose([hit.score for hit in hits], [hit.score for hit in expected], atol=places)
    last = min((hit.score for hit in expected), default=0) + 2 * places
    assert {h.id for h in hits if h.score > last} >= {h.id for h in expected if h.score > last + 2 * places}
    return True


def drawn(rng, count, size=4):
    return unit(rng.normal(size=(count, size)).astype(np.float32))


def drawn_content(rng, id):
    """A content with metadata of all kinds."""
    kinds = [
        {"n": int(rng.integers(-2, 3))},
        {"n": float(rng.integers(-2, 3)) / 2},
        {"n": bool(rng.integers(2))},
        {"n": str(rng.integers(3)), "s": "ab"[rng.integers(2)]},
        {"n": None, "s": ["a"]},
        {},
    ]
    type_ = ("text", "image")[rng.integers(2)]
    text = f"text of {id}" if type_ == "text" else None
    return Content(id, type_, text, ("one", "two")[rng.integers(2)], kinds[rng.integers(len(kinds))])


def drawn_where(rng, ids):
    values = [-1, 0, 1, 0.5, True, False, "0", "1", "a", ""]
    value = values[rng.integers(len(values))]
    operators = ["eq", "in"] if isinstance(value, bool) else ["eq", "in", "gt", "gte", "lt", "lte"]
    operator = operators[rng.integers(len(operators))]
    condition = Condition("ns"[rng.integers(2)], operator, (value, 1, "b") if operator == "in" else value)
    return Where(
        type=(None, "text", "image")[rng.integers(3)],
        collection=(None, None, "one", "none")[rng.integers(4)],
        conditions=(condition,) if rng.integers(2) else (),
        without=tuple(rng.choice(ids, 2)) if ids and rng.integers(2) else (),
    )
