"""What a picture may show instead of the labels: embeddings that the best label has to beat.

A model may bring embeddings of a thousand everyday things. Where labels name such a thing themselves, or a kind of it,
it is no evidence against them: with the label "dog" a beagle is known.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.model.encoder import unit
from app.model.engines import Floats

_LABELS_A_TURN = 1024  # bounds the memory of one product


@dataclass(frozen=True)
class Background:
    """Unit embeddings (B, D), and how near one may come to a label."""

    embeddings: Floats
    near: float | None = None
    """The cosine with a label from which on an embedding is left out; None leaves out none."""
    part: int = 0
    """The first of the dimensions that are compared: a model may keep apart what kind of thing an embedding names."""

    @classmethod
    def load(cls, path: Path) -> "Background":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["embeddings"].astype(np.float32), float(kept["near"]), int(kept["part"]))

    def save(self, path: Path) -> None:
        """Write it to an .npz file, in 16 bits."""
        np.savez(path, embeddings=self.embeddings.astype(np.float16), near=self.near or np.nan, part=self.part)

    def with_prompts(self, embeddings: Floats) -> "Background":
        """The same with more embeddings (P, D)."""
        return replace(self, embeddings=np.concatenate([self.embeddings, embeddings]))

    def beside(self, prototypes: Floats) -> Floats:
        """The embeddings that none of some labels, unit prototypes (N, D), names.

        >>> things = Background(np.float32([[1, 0], [0, 1]]), near=0.5)
        >>> things.beside(np.float32([[0.8, 0.6]])).tolist()
        []
        >>> things.beside(np.float32([[1, 0]])).tolist()
        [[0.0, 1.0]]
        """
        if self.near is None:
            return self.embeddings
        kinds, labels = unit(self.embeddings[:, self.part :]), unit(prototypes[:, self.part :])
        closest = np.full(len(self.embeddings), -1, np.float32)
        for start in range(0, len(prototypes), _LABELS_A_TURN):
            cosines = kinds @ labels[start : start + _LABELS_A_TURN].T
            closest = np.maximum(closest, cosines.max(axis=1))
        return self.embeddings[closest < self.near]
