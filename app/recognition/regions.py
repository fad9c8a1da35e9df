"""Parts of a picture: boxes that were asked for, a grid of boxes to search, and what was found in them as a list.

A box is (left, top, right, bottom) in pixels of the upright picture, right and bottom not among them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import InvalidRequest
from app.recognition.recogniser import Recognition

Box = tuple[int, int, int, int]

LEVELS = (1, 2, 3)  # how many tiles fit into the picture's shorter side
MOST_TILES = 64
APART = 0.1  # share of the smaller of two boxes by which they may overlap and still show two things


@dataclass(frozen=True)
class Found:
    """An item with a box for each of it, the weightiest first, and the item's probability in each."""

    item: str
    boxes: list[Box]
    probabilities: list[float]


def checked(boxes: Sequence[Box], size: tuple[int, int]) -> list[Box]:
    """Boxes that lie within a picture of this width and height; raises InvalidRequest for the first that does not."""
    width, height = size
    for place, (_, _, right, bottom) in enumerate(boxes):
        if right > width or bottom > height:
            raise InvalidRequest(
                f"regions.{place}: right {right} and bottom {bottom} were found; "
                f"the picture, upright, is {width} wide and {height} high"
            )
    return list(boxes)


def grid(size: tuple[int, int]) -> list[Box]:
    """Square tiles of several sizes over a picture of this width and height, each half over its neighbours.

    >>> grid((100, 100))[:3], len(grid((100, 100)))
    ([(0, 0, 100, 100), (0, 0, 50, 50), (25, 0, 75, 50)], 35)
    """
    tiles: list[Box] = []
    for level in LEVELS:
        side = max(1, min(size) // level)
        across, down = (_starts(length, side, -(-2 * (length * level - min(size)) // min(size)) + 1) for length in size)
        finer = [(left, top, left + side, top + side) for top in down for left in across]
        if tiles and len(tiles) + len(finer) > MOST_TILES:
            break
        tiles += finer[:MOST_TILES]
    return tiles


def listed(boxes: Sequence[Box], answers: Sequence[Recognition]) -> list[Found]:
    """The things that boxes show, by item; boxes whose answer is not sure show nothing.

    Of boxes that overlap, one counts, whatever it shows: the surest, and of those that are nearly as sure the largest,
    since a part of a thing may look like the thing.
    """
    sure = [place for place, answer in enumerate(answers) if answer.sure]
    kept: list[int] = []
    for place in sorted(sure, key=lambda place: -_weight(boxes[place], answers[place])):
        if all(overlap(boxes[place], boxes[other]) <= APART for other in kept):
            kept.append(place)
    found: dict[str, Found] = {}
    for place in kept:
        one = found.setdefault(answers[place].item, Found(answers[place].item, [], []))
        one.boxes.append(boxes[place])
        one.probabilities.append(answers[place].ranking.probabilities[0])
    return list(found.values())


def _weight(box: Box, answer: Recognition) -> float:
    """The probability, twice as much worth in a box of four times the side."""
    return answer.ranking.probabilities[0] * math.sqrt(box[2] - box[0])


def overlap(one: Box, other: Box) -> float:
    """The share of the smaller of two boxes that lies in the other.

    >>> overlap((0, 0, 10, 10), (5, 0, 25, 20))
    0.5
    """
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(wide, 0) * max(high, 0) / smaller


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where `count` tiles of this side begin, evenly over the length."""
    starts: list[int] = np.linspace(0, length - side, count).round().astype(int).tolist()
    return starts
