"""Warnings for new examples: near-duplicates and label conflicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.model.engines import Floats
from app.pantry.examples import Example
from app.recognition.zero_shot import Recogniser
from app.text import normalise

NEAR_DUPLICATE = 0.97  # cosine; larder-small: 77 % of copies shrunk to half at most, 2 % of distinct photos of an item
CONFIDENT = 0.8  # threshold of an answer that contradicts an example


@dataclass(frozen=True)
class ExampleWarning:
    """The warnings about an example, None without any."""

    near_duplicate_of: str | None
    """The id of an earlier near-duplicate."""
    contradicts: str | None
    """The item or label that the picture looks like instead."""


def check_examples(
    examples: Sequence[Example], among: Sequence[Example], recogniser: Recogniser
) -> dict[str, ExampleWarning]:
    """Return the warning for each example, by id, from the live labels and `among` all examples of its model.

    The later of two near-duplicates is the duplicate.
    """
    if not examples:
        return {}
    indices = {each.id: index for index, each in enumerate(among)}
    cosines = np.stack([each.vector for each in examples]) @ np.stack([each.vector for each in among]).T  # (M, A)
    items = np.array([each.item for each in among])
    warnings = {}
    for example, near in zip(examples, cosines, strict=True):
        index = indices[example.id]
        near[index] = -1
        twin = int(np.where((items == example.item) & (np.arange(len(near)) < index), near, -1).argmax())
        warnings[example.id] = ExampleWarning(
            near_duplicate_of=among[twin].id if near[twin] > NEAR_DUPLICATE and twin < index else None,
            contradicts=_other_item(example, items, near) or _other_label(example, recogniser),
        )
    return warnings


def _other_item(example: Example, items: npt.NDArray[np.str_], near: Floats) -> str | None:
    """Return the item of the nearest example, if it is another one and the example's own item has others."""
    own = items == example.item
    if own.sum() < 2 or own.all() or near[~own].max() <= near[own].max():
        return None
    return str(items[np.where(own, -1, near).argmax()])


def _other_label(example: Example, recogniser: Recogniser) -> str | None:
    """Return the label that the picture is confidently recognised as, if it is another one."""
    answer = recogniser.recognise(example.vector, top_k=1, threshold=CONFIDENT)
    label = answer.labels[0]
    doubtful = not answer.ranking.confident or answer.known is False
    return None if doubtful or normalise(example.item) in map(normalise, label.names) else label.name
