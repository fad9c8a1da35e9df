"""What a picture may show instead of the labels: embeddings that the best label has to beat.

A model may bring embeddings of a thousand everyday things. Where labels name such a thing themselves, or a kind of it,
it is no evidence against them: with the label "dog" a beagle is known.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.model.engines import Floats

_LABELS_A_TURN = 1024  # bounds the memory of one product


@dataclass(frozen=True)
class Background:
    """Unit embeddings (B, D), and the cosine with a label from which on one is left out; None leaves out none."""

    embeddings: Floats
    near: float | None = None

    @classmethod
    def load(cls, path: Path) -> "Background":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["embeddings"].astype(np.float32), float(kept["near"]))

    def save(self, path: Path) -> None:
        """Write it to an .npz file, in 16 bits."""
        np.savez(path, embeddings=self.embeddings.astype(np.float16), near=np.nan if self.near is None else self.near)

    def with_prompts(self, embeddings: Floats) -> "Background":
        """The same with more embeddings (P, D)."""
        return Background(np.concatenate([self.embeddings, embeddings]), self.near)

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
        closest = np.full(len(self.embeddings), -1, np.float32)
        for start in range(0, len(prototypes), _LABELS_A_TURN):
            cosines = self.embeddings @ prototypes[start : start + _LABELS_A_TURN].T
            closest = np.maximum(closest, cosines.max(axis=1))
        return self.embeddings[closest < self.near]
