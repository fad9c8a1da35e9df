"""Background embeddings for open-set recognition: what a picture may show instead of the labels.

If nothing was fitted on pictures, words have to do: about a thousand everyday nouns, without the quarter that is
nearest to the labels, and the labels' share of a softmax against them. A model may also bring embeddings of a thousand
everyday things. If a label names such a thing or a kind of it, that thing is no evidence against the label: with the
label "dog" a beagle is known.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.model.encoder import unit
from app.model.engines import Floats

_LABELS_A_TURN = 1024  # bounds the memory of one product


@dataclass(frozen=True)
class Background:
    """Unit embeddings (B, D), and the rules that leave out those near a label."""

    embeddings: Floats
    near: float | None = None
    """Embeddings with at least this cosine similarity to a label are left out; None leaves out none."""
    part: int = 0
    """The first dimension to compare: a model may store the kind of thing that an embedding names apart."""
    nearest: float = 0.0
    """The share of the embeddings, nearest to the labels first, that is left out."""

    @classmethod
    def load(cls, path: Path) -> "Background":
        """Load what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            return cls(kept["embeddings"].astype(np.float32), float(kept["near"]), int(kept["part"]))

    def save(self, path: Path) -> None:
        """Save to an .npz file as float16."""
        np.savez(path, embeddings=self.embeddings.astype(np.float16), near=self.near or np.nan, part=self.part)

    def with_prompts(self, embeddings: Floats) -> "Background":
        """Return a copy with further embeddings (P, D)."""
        return replace(self, embeddings=np.concatenate([self.embeddings, embeddings]))

    def beside_each(self, labels: Floats) -> npt.NDArray[np.bool_]:
        """Return for each of N labels the embeddings that compete with it: (B, N)."""
        cosines = self.embeddings @ labels.T  # (B, D) @ (D, N) -> (B, N)
        beside: npt.NDArray[np.bool_] = cosines <= np.quantile(cosines, 1 - self.nearest, axis=0)
        return beside

    def beside(self, prototypes: Floats) -> Floats:
        """Return the embeddings that no label, of unit prototypes (N, D), names.

        >>> things = Background(np.float32([[1, 0], [0, 1]]), near=0.5)
        >>> things.beside(np.float32([[0.8, 0.6]])).tolist()
        []
        >>> things.beside(np.float32([[1, 0]])).tolist()
        [[0.0, 1.0]]
        """
        if (self.near is None and not self.nearest) or not len(prototypes):
            return self.embeddings
        kinds, labels = unit(self.embeddings[:, self.part :]), unit(prototypes[:, self.part :])
        closest = np.full(len(self.embeddings), -1, np.float32)
        for start in range(0, len(prototypes), _LABELS_A_TURN):
            cosines = kinds @ labels[start : start + _LABELS_A_TURN].T
            closest = np.maximum(closest, cosines.max(axis=1))
        limit = np.quantile(closest, 1 - self.nearest) if self.near is None else np.nextafter(self.near, -1)
        return self.embeddings[closest <= limit]
