"""What labels were taught by examples: their vectors, on the scale of cosines with texts.

Two pictures of one thing are nearer to each other than a picture is to the text that names it, so cosines with examples
are multiplied by `scale` before they are compared with cosines with texts. A label's cosine is the better of the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.encoder import unit
from app.engines import Floats

LEAD = 1.1  # by which examples that are recognised beat the texts that they would otherwise be taken for


@dataclass(frozen=True)
class Taught:
    """A vector (M, D) for each taught label, its length the scale, and the places (M,) of those labels."""

    vectors: Floats
    places: npt.NDArray[np.int64]

    def raised(self, cosines: Floats, picture: Floats) -> Floats:
        """The cosines (N,) of all labels with a picture (D,), those of taught labels raised to what the examples say.

        >>> taught = Taught(np.float32([[0, 0.5]]), np.array([2]))
        >>> taught.raised(np.float32([0.25, 0.75, 0.125]), np.float32([0, 1])).tolist()
        [0.25, 0.75, 0.5]
        """
        raised = cosines.copy()
        raised[self.places] = np.maximum(cosines[self.places], self.vectors @ picture)
        return raised


def teach(examples: Sequence[tuple[int, Floats]], prototypes: Floats, scale: float | None) -> Taught | None:
    """What examples, each a label's place and a unit vector (D,), make of labels with unit prototypes (N, D).

    Without a scale that was fitted on data it is the mean cosine of the examples with the texts nearest to them: as
    near as pictures come to texts at all, and a little nearer. None when there are no examples.
    """
    if not examples:
        return None
    vectors = np.stack([vector for _, vector in examples])  # (M, D)
    places = np.array([place for place, _ in examples])
    if scale is None:
        scale = LEAD * float((vectors @ prototypes.T).max(axis=1).mean())
    labels = np.unique(places)
    means = unit(np.stack([vectors[places == label].mean(axis=0) for label in labels]))
    return Taught(np.float32(scale) * means, labels)
