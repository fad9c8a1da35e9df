"""What labels were taught by examples: how near a picture is to these, against how near it is to what labels name.

Pictures are nearer to each other than to the texts that name them. So both are brought among pictures first: a picture
by one affine map, a text's prototype by another to where its pictures are to be expected. There a taught label is as
near as the density of its examples (von Mises-Fisher kernels), and how far it leads over the nearest text is what its
cosine leads over the best. docs/decisions/teaching.md has what else was tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from app.model.encoder import unit
from app.model.engines import Floats

KAPPA = 15.0  # concentration of the kernels: the larger, the more the nearest example alone counts
SHOWN = 0.9  # as near as pictures of one thing are that are not like any text
LEAD = 1.2  # of an estimated scale: new pictures of a thing are not quite as near to its examples as these themselves
LEAST = 0.1  # cosine with a text, for a model that has none for the examples


@dataclass(frozen=True)
class Likeness:
    """How the pictures of one model are compared, as it was fitted on labelled pictures."""

    pictures: Floats
    """(D + 1, E), the last row being the offset."""
    texts: Floats
    """(D + 1, E), for prototypes."""
    margin: float
    """What a taught label gets on top of its nearness."""
    scale: float = 1.0
    """Cosines with texts per cosine among pictures."""

    @classmethod
    def load(cls, path: Path) -> "Likeness":
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as kept:
            maps = (kept["pictures"].astype(np.float32), kept["texts"].astype(np.float32))
            return cls(*maps, margin=float(kept["margin"]), scale=float(kept["scale"]))

    def save(self, path: Path) -> None:
        """Write the maps in 16 bits."""
        pictures, texts = self.pictures.astype(np.float16), self.texts.astype(np.float16)
        np.savez(path, pictures=pictures, texts=texts, margin=np.array(self.margin), scale=np.array(self.scale))


@dataclass(frozen=True)
class Taught:
    """Examples, label by label, and the texts they compete with, all among pictures."""

    places: npt.NDArray[np.int64]
    """The places (K,) of the labels that have examples."""
    starts: npt.NDArray[np.int64]
    """Where the examples of each begin (K,)."""
    examples: Floats
    """(M, E)"""
    texts: Floats
    """(N, E)"""
    scale: float
    margin: float = 0.0
    pictures: Floats | None = None
    """The map (D + 1, E) of pictures; None leaves them as they are."""

    def raised(self, cosines: Floats, picture: Floats) -> Floats:
        """The cosines (N,) of a picture (D,) with labels, those of taught ones raised to what the examples say.

        >>> taught = Taught(np.array([2]), np.array([0]), np.float32([[0, 1]]), np.zeros((3, 2), np.float32), scale=0.5)
        >>> taught.raised(np.float32([0.25, 0.75, 0.125]), np.float32([0, 1])).astype(float).round(3).tolist()
        [0.25, 0.75, 0.966]
        """
        near, view = self._near(picture)
        lead = self.scale * (near - (self.texts @ view).max() + self.margin)  # (K,)
        raised = cosines.copy()
        raised[self.places] = np.maximum(raised[self.places], ahead(cosines.max(), lead))
        return raised

    def shown(self, picture: Floats) -> bool:
        """Whether a picture (D,) is so near to the examples of a label that it surely shows it."""
        near, _ = self._near(picture)
        return bool(near.max() > SHOWN)

    def _near(self, picture: Floats) -> tuple[Floats, Floats]:
        """How near (K,) a picture (D,) is to the labels' examples, and where it is among pictures (E,)."""
        view = picture if self.pictures is None else mapped(picture, self.pictures)
        powers = np.exp(KAPPA * (self.examples @ view))  # (M,)
        sizes = np.diff([*self.starts, len(powers)])
        near = np.log(np.add.reduceat(powers, self.starts) / sizes) / KAPPA
        return near.astype(np.float32), view


def ahead(best: np.float32, lead: Floats) -> Floats:
    """Cosines that lead over the best one: as much as `lead` says where that is little, and never beyond 1.

    >>> ahead(np.float32(0.5), np.float32([-0.1, 0.01, 0.5, 9])).astype(float).round(3).tolist()
    [0.4, 0.51, 0.816, 1.0]
    """
    room = np.maximum(1 - best, np.float32(1e-6))
    bent = best + np.minimum(lead, 0) - room * np.expm1(-np.maximum(lead, 0) / room)
    cosines: Floats = np.minimum(bent, 1).astype(np.float32)
    return cosines


def mapped(vectors: Floats, affine: Floats) -> Floats:
    """Unit vectors (..., D) by an affine map (D + 1, E) to unit vectors (..., E)."""
    return unit(vectors @ affine[:-1] + affine[-1])


def teach(examples: Sequence[tuple[int, Floats]], prototypes: Floats, likeness: Likeness | None) -> Taught | None:
    """What examples, each a label's place and a unit vector (D,), say beside labels with unit prototypes (N, D).

    Without a likeness pictures are compared as they are, and cosines with texts are brought to their scale by somewhat
    more than the mean cosine of the examples with the texts nearest to them. None when there are no examples.
    """
    if not examples:
        return None
    examples = sorted(examples, key=lambda example: example[0])
    vectors = np.stack([vector for _, vector in examples])  # (M, D)
    places, starts = np.unique([place for place, _ in examples], return_index=True)
    if likeness is None:
        scale = LEAD * max(float((vectors @ prototypes.T).max(axis=1).mean()), LEAST)
        return Taught(places, starts, vectors, prototypes / np.float32(scale), scale)
    views, texts = mapped(vectors, likeness.pictures), mapped(prototypes, likeness.texts)
    return Taught(places, starts, views, texts, likeness.scale, likeness.margin, likeness.pictures)
