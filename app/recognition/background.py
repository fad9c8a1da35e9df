"""What a picture may show instead of the labels: embeddings that the labels have to beat.

Where nothing was fitted on pictures, words alone have to do: some thousand everyday nouns, without the quarter that is
nearest to the labels, and the share of the softmax that the labels take against them. A model may also bring
embeddings of a thousand everyday things. Where labels name such a thing themselves, or a kind of it, it is no evidence
against them: with the label "dog" a beagle is known.
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
    """Unit embeddings (B, D), and how near one may come to a label."""

    embeddings: Floats
    near: float | None = None
    """The cosine with a label from which on an embedding is left out; None leaves out none."""
    part: int = 0
    """The first of the dimensions that are compared: a model may keep apart what kind of thing an embedding names."""
    nearest: float = 0.0
    """The share of the embeddings, those nearest to the labels, that is left out."""

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

    def beside_each(self, labels: Floats) -> npt.NDArray[np.bool_]:
        """Which of the embeddings count against each of N labels by itself: (B, N)."""
        cosines = self.embeddings @ labels.T  # (B, D) @ (D, N) -> (B, N)
        beside: npt.NDArray[np.bool_] = cosines <= np.quantile(cosines, 1 - self.nearest, axis=0)
        return beside

    def beside(self, prototypes: Floats) -> Floats:
        """The embeddings that none of some labels, unit prototypes (N, D), names.

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
