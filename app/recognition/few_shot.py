"""Few-shot labels: the embeddings of support examples against text prototypes.

Image embeddings are nearer to each other than to the prompts that name them, unless the model was built so that
prototypes are at the mean embeddings of their labels. For other models images and prototypes are aligned first: one
affine map moves an image, another moves a prototype to where its images are expected. In that space a label with
examples has a similarity, the cosine to their mean or their density (von Mises-Fisher kernels), and its lead over the
nearest prototype becomes a lead over the best cosine. docs/decisions/0018-teaching.md has the alternatives.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.model.encoder import unit
from app.model.engines import Floats

KAPPA = 15.0  # concentration of the kernels: the larger, the more only the nearest example counts
KNOWN_BY_EXAMPLES = 0.9  # similarity above which a match with the examples alone counts as known
LACKING = 0.6  # share of what the examples lack to be known that a name has to make up for
LEAD = 1.2  # factor on the estimated scale: an example is nearer to itself than new images of its label are to it
SCALE_SAMPLE = 256  # examples that the scale is estimated from at most
LEFT_OUT_AT_ONCE = 32  # examples of a label processed at once: with its 255 others each they take 17 MB
MIN_SCALE = 0.1  # of cosines with texts, for a model whose examples resemble no text


@dataclass(frozen=True)
class ImageAlignment:
    """The alignment of one model's images and prototypes, fitted on labelled images."""

    images: Floats | None
    """Affine map (D + 1, E) for image embeddings, offset in the last row; or factors (D,). None is the identity."""
    texts: Floats | None
    """The same for prototypes."""
    margins: tuple[float, ...]
    """Added to the similarity with a label that has 1, 2, ... examples; the last one also applies to more."""
    scale: float = 1.0
    """Scale of cosine similarities to texts relative to those in the aligned space."""
    means: bool = False
    """Whether a label's examples count only by their mean, not by their density."""
    known: float = KNOWN_BY_EXAMPLES
    """The similarity above which a match with the examples alone counts as known."""

    @classmethod
    def load(cls, path: Path) -> "ImageAlignment":
        """Load what `save` wrote."""
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
        """Save the maps as float16."""
        maps = {"pictures": self.images, "texts": self.texts}
        halves = {name: affine.astype(np.float16) for name, affine in maps.items() if affine is not None}
        facts = {"margin": self.margins, "scale": self.scale, "means": self.means, "known": self.known}
        np.savez(path, **{name: np.asarray(value) for name, value in (facts | halves).items()})  # type: ignore[arg-type]

    def margin(self, counts: npt.NDArray[np.int64]) -> Floats:
        """Return the margins (K,) for labels with these numbers of examples (K,), at least 1."""
        margins: Floats = np.array(self.margins, np.float32)
        chosen: Floats = margins[np.minimum(counts, len(self.margins)) - 1]
        return chosen


@dataclass(frozen=True)
class Compared:
    """Pictures already compared with the names of all labels."""

    aligned: Floats
    """In the aligned space (..., E)."""
    best: Floats
    """The best cosine similarity to a name (...)."""
    nearest: Floats
    """The similarity to the nearest prototype in the aligned space (...)."""

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> "Compared":
        """Select some of them."""
        return Compared(self.aligned[rows], self.best[rows], self.nearest[rows])


@dataclass(frozen=True)
class FewShotIndex:
    """Support examples grouped by label and the prototypes that they compete with, all in the aligned space."""

    indices: npt.NDArray[np.int64]
    """Which labels have examples (K,), ascending."""
    starts: npt.NDArray[np.int64]
    """Start of the examples of each label (K,)."""
    examples: Floats
    """(M, E)"""
    texts: Floats
    """(N, E)"""
    scale: float
    margin: Floats | float = 0.0
    """Margin added to the similarity with each label's examples (K,)."""
    alignment: ImageAlignment | None = None
    """The alignment of images and prototypes; None is the identity."""

    def adjusted_similarities(self, cosines: Floats, pictures: Floats) -> Floats:
        """Return the cosine similarities (..., N) of pictures (..., D) to labels, raised where examples match better.

        >>> index = FewShotIndex(np.array([2]), np.array([0]), np.float32([[0, 1]]), np.zeros((3, 2), np.float32), 0.5)
        >>> index.adjusted_similarities(np.float32([0.25, 0.75, 0.125]), np.float32([0, 1])).round(3)
        array([0.25 , 0.75 , 0.966], dtype=float32)
        """
        adjusted = cosines.copy()
        by_examples = self.by_examples(self.compare(cosines, pictures))
        adjusted[..., self.indices] = np.maximum(adjusted[..., self.indices], by_examples)
        return adjusted

    def compare(self, cosines: Floats, pictures: Floats) -> Compared:
        """Align pictures (..., D) that have cosines (..., N) to all labels' names, for comparison with examples."""
        aligned = self.aligned(pictures)
        return Compared(aligned, cosines.max(axis=-1), (self.texts @ aligned.T).max(axis=0))

    def by_examples(self, pictures: Compared) -> Floats:
        """Return the cosine similarities (..., K) of pictures to the labels that have examples, by these alone."""
        lead = self.scale * (self._density(pictures.aligned) - pictures.nearest[..., None] + self.margin)  # (..., K)
        return bounded_lead(pictures.best[..., None], lead)

    def left_out(self, pictures: Compared) -> Floats:
        """Return the cosine similarities (n,) of one label's n >= 2 examples to it, each by leave-one-out."""
        count = len(pictures.aligned)
        found = []
        for start in range(0, count, LEFT_OUT_AT_ONCE):
            rows = np.arange(start, min(start + LEFT_OUT_AT_ONCE, count))  # (B,)
            others = np.sort((rows[:, None] + np.arange(1, count)) % count)  # (B, n - 1)
            alone = self.over(rows, pictures.aligned[others.ravel()], np.full(len(rows), count - 1))
            found.append(alone.by_examples(pictures[rows]).diagonal())
        return np.concatenate(found)

    def over(self, indices: npt.NDArray[np.int64], aligned: Floats, counts: npt.NDArray[np.int64]) -> "FewShotIndex":
        """Return a copy for other labels (K,), with these numbers of examples (K,), concatenated (M, E)."""
        return replace(self, indices=indices, **_grouped(aligned, counts, self.alignment))

    def is_known(self, picture: Floats) -> bool:
        """Return whether a picture (D,) is so similar to a label's examples that it surely shows it."""
        threshold = self.alignment.known if self.alignment else KNOWN_BY_EXAMPLES
        return bool(self._density(self.aligned(picture)).max() > threshold)

    def names_as_evidence(self, cosines: Floats, picture: Floats) -> Floats:
        """Return the cosine similarities (N,) of a picture (D,) to all labels' names, as evidence that it is known.

        A taught label's name counts less the less the picture resembles its examples: "cloth" alone fits most garments.
        Without an alignment, where similarities with examples have no fitted scale, all count in full.
        """
        if self.alignment is None:
            return cosines
        lowered = cosines.copy()
        similarities = self._density(self.aligned(picture))  # (K,)
        lowered[self.indices] -= LACKING * np.maximum(self.alignment.known - similarities, 0)
        return lowered

    def aligned(self, pictures: Floats) -> Floats:
        """Map pictures (..., D) into the aligned space (..., E)."""
        return apply_affine(pictures, self.alignment.images if self.alignment else None)

    def _density(self, aligned: Floats) -> Floats:
        """Return the similarity (..., K) of aligned pictures (..., E) with each label's examples."""
        kernels = np.exp(KAPPA * (self.examples @ aligned.T))  # (M, ...)
        sizes = np.diff([*self.starts, len(kernels)])
        density: Floats = (np.log(np.add.reduceat(kernels, self.starts, axis=0).T / sizes) / KAPPA).astype(np.float32)
        return density


def bounded_lead(best: np.float32 | Floats, lead: Floats) -> Floats:
    """Return cosines that exceed the best one by `lead` (..., K) while that is small, and never exceed 1.

    >>> bounded_lead(np.float32(0.5), np.float32([-0.1, 0.01, 0.5, 9])).astype(float).round(3).tolist()
    [0.4, 0.51, 0.816, 1.0]
    """
    room = np.maximum(1 - best, np.float32(1e-6))
    bent = best + np.minimum(lead, 0) - room * np.expm1(-np.maximum(lead, 0) / room)
    cosines: Floats = np.minimum(bent, 1).astype(np.float32)
    return cosines


def apply_affine(vectors: Floats, affine: Floats | None) -> Floats:
    """Map unit vectors (..., D) to unit vectors: affine (D + 1, E), by factors (D,), or None for the identity."""
    if affine is None:
        return vectors
    return unit(vectors * affine if affine.ndim == 1 else vectors @ affine[:-1] + affine[-1])


def fit_few_shot(
    examples: Sequence[tuple[int, Floats]], prototypes: Floats, alignment: ImageAlignment | None
) -> FewShotIndex | None:
    """Index support examples, pairs of a label's index and a unit vector (D,), of labels with unit prototypes (N, D).

    Without an alignment images are unchanged, and their similarities are scaled to those with texts: LEAD times the
    mean cosine of an example with its nearest text. Returns None if there are no examples.
    """
    if not examples:
        return None
    examples = sorted(examples, key=lambda example: example[0])
    vectors = np.stack([vector for _, vector in examples])  # (M, D)
    indices, counts = np.unique([index for index, _ in examples], return_counts=True)
    if alignment is None:
        some = vectors[:: -(-len(vectors) // SCALE_SAMPLE)]  # up to (SCALE_SAMPLE, D): enough for a mean
        scale = LEAD * max(float((some @ prototypes.T).max(axis=1).mean()), MIN_SCALE)
        groups, texts = _grouped(vectors, counts, None), prototypes / np.float32(scale)
        return FewShotIndex(indices, texts=texts, scale=scale, **groups)
    groups = _grouped(apply_affine(vectors, alignment.images), counts, alignment)
    texts = apply_affine(prototypes, alignment.texts)
    return FewShotIndex(indices, texts=texts, scale=alignment.scale, alignment=alignment, **groups)


def _grouped(aligned: Floats, counts: npt.NDArray[np.int64], alignment: ImageAlignment | None) -> dict[str, Any]:
    """Group the examples of labels, given their numbers (K,) and the examples concatenated (M, E)."""
    starts = np.cumsum([0, *counts[:-1]])
    if alignment and alignment.means:
        aligned, starts = unit(np.add.reduceat(aligned, starts)), np.arange(len(counts))
    return {"starts": starts, "examples": aligned, "margin": alignment.margin(counts) if alignment else 0.0}
