"""A slow reference store: a dictionary that is searched exhaustively."""

from dataclasses import replace

import numpy as np

from app.contents import EVERYTHING, Hit
from app.model.encoder import unit


class BruteForce:
    """A slow reference for every store; vectors are rounded to float16 as theirs are."""

    def __init__(self):
        self.kept = {}

    def put(self, content, vector):
        new = content.id not in self.kept
        self.kept[content.id] = (replace(content, picture=None), vector.astype(np.float16).astype(np.float32))
        return new

    def equal(self, vector):
        """Return the ids of entries with exactly this vector."""
        rounded = vector.astype(np.float16).astype(np.float32)
        return {id for id, (_, own) in self.kept.items() if np.array_equal(own, rounded)}

    def search(self, vector, k, where=EVERYTHING):
        found = [
            Hit(content.id, content.type, float(own @ vector), content.metadata)
            for content, own in self.kept.values()
            if where.holds(content)
        ]
        return sorted(found, key=lambda hit: -hit.score)[:k]


def same(hits, expected, places=1e-5):
    """Return whether hits are the expected ones: the same ids, except for the order of equal scores."""
    assert len(hits) == len(expected)
    assert len({hit.id for hit in hits}) == len(hits)
    assert np.allclose([hit.score for hit in hits], [hit.score for hit in expected], atol=places)
    last = min((hit.score for hit in expected), default=0) + 2 * places
    assert {h.id for h in hits if h.score > last} >= {h.id for h in expected if h.score > last + 2 * places}
    return True


def drawn(rng, count, size=4):
    return unit(rng.normal(size=(count, size)).astype(np.float32))
