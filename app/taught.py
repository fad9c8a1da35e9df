"""What labels were taught by examples: how near a picture is to them, on the scale of cosines with texts.

Pictures are nearer to each other than to the texts that name them, also pictures of different things, for all have much
in common. So what is common, the mean of many pictures, is taken off before two pictures are compared, and their cosine
is multiplied by `scale` before it is compared with cosines with texts. A label's cosine is the best of what its names
and its examples say. docs/decisions/teaching.md has what else was tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.encoder import unit
from app.engines import Floats

LEAD = 1.2  # of an estimated scale: new pictures of a thing are not quite as near to its examples as these themselves
FADING = 0.05  # power of a label's number of examples that its scale falls with: of many the nearest is near by chance
LEAST = 0.1  # cosine with a text, for a model that has none for the examples


@dataclass(frozen=True)
class Likeness:
    """How pictures of one model are compared: what was fitted on data, and None for what was not."""

    scale: float | None = None
    """Of a label with one example."""
    mean: Floats | None = None
    """Of many pictures' unit vectors, (D,)."""

    def centred(self, vectors: Floats) -> Floats:
        """Unit vectors (..., D) without what all pictures have in common, of length 1 again."""
        return vectors if self.mean is None else unit(vectors - self.mean)


@dataclass(frozen=True)
class Taught:
    """Centred examples (M, D), as long as their scale, the places (M,) of their labels, how pictures are compared."""

    examples: Floats
    places: npt.NDArray[np.int64]
    likeness: Likeness

    def raised(self, cosines: Floats, pictures: Floats) -> Floats:
        """The cosines (..., N) of pictures (..., D) with labels, those of taught ones raised to what the examples say.

        >>> taught = Taught(np.float32([[0, 0.5]]), np.array([2]), Likeness())
        >>> taught.raised(np.float32([0.25, 0.75, 0.125]), np.float32([0, 1])).tolist()
        [0.25, 0.75, 0.5]
        """
        raised = cosines.copy()
        near = self.likeness.centred(pictures) @ self.examples.T  # (..., M)
        np.maximum.at(raised.T, self.places, near.T)
        return raised


def teach(examples: Sequence[tuple[int, Floats]], prototypes: Floats, likeness: Likeness) -> Taught | None:
    """What examples, each a label's place and a unit vector (D,), say beside labels with unit prototypes (N, D).

    A scale that was not fitted is somewhat more than the mean cosine of the examples with the texts nearest to them: as
    near as pictures come to texts at all. None when there are no examples.
    """
    if not examples:
        return None
    vectors = np.stack([vector for _, vector in examples])  # (M, D)
    scale = likeness.scale or LEAD * max(float((vectors @ prototypes.T).max(axis=1).mean()), LEAST)
    places = np.array([place for place, _ in examples])
    scales = scale * np.bincount(places)[places] ** -FADING  # (M,)
    return Taught(likeness.centred(vectors) * scales[:, None].astype(np.float32), places, likeness)
