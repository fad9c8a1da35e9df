"""Several things in one picture: boxes to classify, and non-maximum suppression of what they show.

A box is (left, top, right, bottom) in pixels of the upright picture; right and bottom are exclusive.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import InvalidRequest
from app.recognition.zero_shot import Recognition

Box = tuple[int, int, int, int]

LEVELS = (1, 2, 3)  # tiles along the picture's shorter side
MAX_TILES = 64
MAX_OVERLAP = 0.1  # of the smaller of two boxes, up to which they may show two things; chosen by `evaluation several`


@dataclass(frozen=True)
class Found:
    """An item with a box for each instance, highest score first, and the item's probability in each."""

    item: str
    boxes: list[Box]
    probabilities: list[float]


def validate_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> list[Box]:
    """Return the boxes if all lie within this width and height; raise InvalidRequest for the first that does not."""
    width, height = size
    for place, (_, _, right, bottom) in enumerate(boxes):
        if right > width or bottom > height:
            raise InvalidRequest(
                f"regions.{place}: right {right} and bottom {bottom} were found; "
                f"the picture, upright, is {width} wide and {height} high"
            )
    return list(boxes)


def grid(size: tuple[int, int]) -> list[Box]:
    """Tiles of several sizes that cover a picture of this width and height, at most MAX_TILES of them.

    Tiles are square and overlap their neighbours by half. At the coarsest level a picture longer than 32 times its
    shorter side gets tiles that overlap less, and one longer than 64 times gets tiles longer than they are high.

    >>> grid((100, 100))[:3], len(grid((100, 100)))
    ([(0, 0, 100, 100), (0, 0, 50, 50), (25, 0, 75, 50)], 35)
    """
    tiles = _level(size, 1, MAX_TILES)
    for level in LEVELS[1:]:
        finer = _level(size, level, MAX_TILES - len(tiles))
        if not finer:
            break
        tiles += finer
    return tiles


def _level(size: tuple[int, int], level: int, most: int) -> list[Box]:
    """Tiles with 1 / `level` of the shorter side; none where a finer level needs more than `most`."""
    short = min(size)
    side = max(1, short // level)
    # each of the two counts is arithmetic: a picture of 50,000,000 x 1 would have a hundred million tiles
    columns, rows = (-(-2 * (length * level - short) // short) + 1 for length in size)
    if columns * rows > most:
        if level > 1:
            return []
        columns, rows = min(columns, most), min(rows, most)  # one of the two is 1
    width, height = (max(side, -(-length // count)) for length, count in zip(size, (columns, rows), strict=True))
    return [
        (left, top, left + width, top + height)
        for top in _starts(size[1], height, rows)
        for left in _starts(size[0], width, columns)
    ]


def non_max_suppression(boxes: Sequence[Box], answers: Sequence[Recognition]) -> list[Found]:
    """Merge the answers for overlapping boxes into a list of items; boxes whose answer is not sure show nothing.

    Of boxes that overlap, whatever they show, the one with the highest score is kept.
    """
    sure = [place for place, answer in enumerate(answers) if answer.sure]
    kept: list[int] = []
    for place in sorted(sure, key=lambda place: -_score(boxes[place], answers[place])):
        if all(intersection_over_min_area(boxes[place], boxes[other]) <= MAX_OVERLAP for other in kept):
            kept.append(place)
    found: dict[str, Found] = {}
    for place in kept:
        one = found.setdefault(answers[place].item, Found(answers[place].item, [], []))
        one.boxes.append(boxes[place])
        one.probabilities.append(answers[place].ranking.probabilities[0])
    return list(found.values())


def _score(box: Box, answer: Recognition) -> float:
    """The probability, doubled in a box of four times the side: part of a thing may look like the thing."""
    return answer.ranking.probabilities[0] * math.sqrt(box[2] - box[0])


def intersection_over_min_area(one: Box, other: Box) -> float:
    """The intersection of two boxes as a share of the smaller one.

    >>> intersection_over_min_area((0, 0, 10, 10), (5, 0, 25, 20))
    0.5
    """
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(wide, 0) * max(high, 0) / smaller


def _starts(length: int, side: int, count: int) -> list[int]:
    """Where `count` tiles of this side begin, spaced evenly over the length."""
    starts: list[int] = np.linspace(0, length - side, count).round().astype(int).tolist()
    return starts
