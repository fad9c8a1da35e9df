"""Few-shot labels: the embeddings of support examples against text prototypes.

Embeddings of images are nearer to each other than to the prompts that name them, unless the model was made so that
prototypes stand where the mean images of their labels do. For other models images and prototypes are aligned first: an
affine map moves an image, another one moves a prototype to where its images are expected. In that space the similarity
with a label that has examples is the cosine with their mean, or their density (von Mises-Fisher kernels), and its lead
over the nearest prototype becomes a lead over the best cosine. docs/decisions/0018-teaching.md has what else was tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.model.encoder import unit
from app.model.engines import Floats

KAPPA = 15.0  # concentration of the kernels: the larger, the more the nearest example alone counts
KNOWN_BY_EXAMPLES = 0.9  # similarity above which a match with the examples is enough to count as known
LEAD = 1.2  # times the estimated scale: an example is nearer to itself than new images of its label are to it
SCALE_SAMPLE = 256  # examples that the scale is estimated from at most
MIN_SCALE = 0.1  # of cosines with texts, for a model whose examples resemble no text


@dataclass(frozen=True)
class ImageAlignment:
    """How one model's images and prototypes are compared, fitted on labelled images."""

    images: Floats | None
    """Affine map (D + 1, E) for image embeddings; the last row is the offset. None is the identity."""
    texts: Floats | None
    """The same for prototypes."""
    margins: tuple[float, ...]
    """Added to the similarity with a label that has 1, 2, ... examples; the last one also where it has more."""
    scale: float = 1.0
    """Cosines with texts per cosine in the aligned space."""
    means: bool = False
    """Whether a label's examples count only by their mean, instead of by their density."""
    known: float = KNOWN_BY_EXAMPLES
    """The similarity above which a match with the examples is enough to count as known."""

    @classmethod
    def load(cls, path: Path) -> "ImageAlignment":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as file:
            images, texts = (file[name].astype(np.float32) if name in file else None for name in ("pictures", "texts"))
            return cls(
                images,
                texts,
                margins=tuple(np.atleast_1d(file["margin"]).tolist()),
                scale=float(file["scale"]),
                means=bool(file.get("means", False)),
                known=float(file.get("known", KNOWN_BY_EXAMPLES)),
            )

    def save(self, path: Path) -> None:
        """Write the maps as float16."""
        maps = {"pictures": self.images, "texts": self.texts}
        halves = {name: affine.astype(np.float16) for name, affine in maps.items() if affine is not None}
        facts = {"margin": self.margins, "scale": self.scale, "means": self.means, "known": self.known}
        np.savez(path, **{name: np.asarray(value) for name, value in (facts | halves).items()})  # type: ignore[arg-type]

    def margin(self, counts: npt.NDArray[np.int64]) -> Floats:
        """The margins (K,) of labels with these numbers of examples (K,), at least 1."""
        margins: Floats = np.array(self.margins, np.float32)
        chosen: Floats = margins[np.minimum(counts, len(self.margins)) - 1]
        return chosen


@dataclass(frozen=True)
class FewShotIndex:
    """Examples grouped by label and the prototypes that they compete with, all in the aligned space."""

    indices: npt.NDArray[np.int64]
    """Which labels have examples (K,), ascending."""
    starts: npt.NDArray[np.int64]
    """Where the examples of each of them begin (K,)."""
    examples: Floats
    """(M, E)"""
    texts: Floats
    """(N, E)"""
    scale: float
    margin: Floats | float = 0.0
    """Added to the similarity with each label's examples (K,)."""
    image_map: Floats | None = None
    """Affine map (D + 1, E) for images; None is the identity."""
    known: float = KNOWN_BY_EXAMPLES

    def adjusted_similarities(self, cosines: Floats, picture: Floats) -> Floats:
        """The cosines (N,) of a picture (D,) with all labels, raised where a label's examples match better.

        >>> index = FewShotIndex(np.array([2]), np.array([0]), np.float32([[0, 1]]), np.zeros((3, 2), np.float32), 0.5)
        >>> index.adjusted_similarities(np.float32([0.25, 0.75, 0.125]), np.float32([0, 1])).round(3)
        array([0.25 , 0.75 , 0.966], dtype=float32)
        """
        density, aligned = self._density(picture)
        lead = self.scale * (density - (self.texts @ aligned).max() + self.margin)  # (K,)
        adjusted = cosines.copy()
        adjusted[self.indices] = np.maximum(adjusted[self.indices], bounded_lead(cosines.max(), lead))
        return adjusted

    def is_known(self, picture: Floats) -> bool:
        """Whether a picture (D,) is so similar to the examples of a label that it surely shows it."""
        density, _ = self._density(picture)
        return bool(density.max() > self.known)

    def _density(self, picture: Floats) -> tuple[Floats, Floats]:
        """The similarity (K,) of a picture (D,) with each label's examples, and the aligned picture (E,)."""
        aligned = apply_affine(picture, self.image_map)
        kernels = np.exp(KAPPA * (self.examples @ aligned))  # (M,)
        sizes = np.diff([*self.starts, len(kernels)])
        density = np.log(np.add.reduceat(kernels, self.starts) / sizes) / KAPPA
        return density.astype(np.float32), aligned


def bounded_lead(best: np.float32, lead: Floats) -> Floats:
    """Cosines that lead over the best one by `lead` (K,) where that is small, and never exceed 1.

    >>> bounded_lead(np.float32(0.5), np.float32([-0.1, 0.01, 0.5, 9])).astype(float).round(3).tolist()
    [0.4, 0.51, 0.816, 1.0]
    """
    room = np.maximum(1 - best, np.float32(1e-6))
    bent = best + np.minimum(lead, 0) - room * np.expm1(-np.maximum(lead, 0) / room)
    cosines: Floats = np.minimum(bent, 1).astype(np.float32)
    return cosines


def apply_affine(vectors: Floats, affine: Floats | None) -> Floats:
    """Map unit vectors (..., D) by an affine map (D + 1, E) to unit vectors (..., E); None leaves them as they are."""
    return vectors if affine is None else unit(vectors @ affine[:-1] + affine[-1])


def fit_few_shot(
    examples: Sequence[tuple[int, Floats]], prototypes: Floats, alignment: ImageAlignment | None
) -> FewShotIndex | None:
    """Index examples, each a label's index and a unit vector (D,), of labels with unit prototypes (N, D).

    Without an alignment images stay as they are, and their cosines are brought to the scale of cosines with texts: LEAD
    times the mean cosine of an example with its nearest text. Returns None when there are no examples.
    """
    if not examples:
        return None
    examples = sorted(examples, key=lambda example: example[0])
    vectors = np.stack([vector for _, vector in examples])  # (M, D)
    indices, starts, counts = np.unique([index for index, _ in examples], return_index=True, return_counts=True)
    if alignment is None:
        some = vectors[:: -(-len(vectors) // SCALE_SAMPLE)]  # up to (SCALE_SAMPLE, D): enough for a mean
        scale = LEAD * max(float((some @ prototypes.T).max(axis=1).mean()), MIN_SCALE)
        return FewShotIndex(indices, starts, vectors, prototypes / np.float32(scale), scale)
    aligned, texts = apply_affine(vectors, alignment.images), apply_affine(prototypes, alignment.texts)
    if alignment.means:
        aligned, starts = unit(np.add.reduceat(aligned, starts)), np.arange(len(indices))
    margin = alignment.margin(counts)
    return FewShotIndex(indices, starts, aligned, texts, alignment.scale, margin, alignment.images, alignment.known)
