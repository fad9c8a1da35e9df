"""Several things in one picture: boxes to classify, and non-maximum suppression of the answers.

A box is (left, top, right, bottom) in pixels of the upright picture; right and bottom are exclusive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.errors import InvalidRequest
from app.model.engines import Floats
from app.recognition.zero_shot import Recognition

Box = tuple[int, int, int, int]

LEVELS = (1, 2, 3)  # tiles along the picture's shorter side
MAX_TILES = 64
SAME, DIFFERENT = 0.1, 0.51  # of the smaller of two boxes, up to which they may show two equal, two different things
INSIDE = 0.7  # share of a smaller box from which on it is inside a larger one
SEVERAL = 2  # other things in a box from which on it shows none of its own
LEAST_SCORE = 0.5  # like all of these, chosen by `python -m app.evaluation several` on val


@dataclass(frozen=True)
class Found:
    """An item with a box for each instance, highest score first, and its probability in each."""

    item: str
    boxes: list[Box]
    probabilities: list[float]


def validate_boxes(boxes: Sequence[Box], size: tuple[int, int]) -> list[Box]:
    """Return the boxes if all are within this width and height; raise InvalidRequest for the first that is not."""
    width, height = size
    for place, (_, _, right, bottom) in enumerate(boxes):
        if right > width or bottom > height:
            raise InvalidRequest(
                f"regions.{place}: right {right} and bottom {bottom} were found; "
                f"the picture, upright, is {width} wide and {height} high"
            )
    return list(boxes)


def grid(size: tuple[int, int]) -> list[Box]:
    """Return square tiles of several sizes that cover a picture of this width and height, at most MAX_TILES.

    Tiles overlap their neighbours by half. At the coarsest level a picture longer than 32 times its shorter side gets
    tiles that overlap less, and one longer than 64 times gets tiles longer than they are high.

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
    """Return tiles with 1 / `level` of the shorter side; none if a finer level needs more than `most`."""
    short = min(size)
    side = max(1, short // level)
    # both counts are computed first: a picture of 50,000,000 x 1 would have a hundred million tiles
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
    """Merge the answers for overlapping boxes into a list of items; boxes with an unsure answer are ignored.

    A box is scored by its probability and by the agreement of the boxes that overlap it: what only one tile sees is at
    the border of two things. A box in which smaller ones see several other things shows none of its own. Of overlapping
    boxes the one with the highest score is kept; neighbours half a tile apart may show different things.
    """
    if not boxes:
        return []
    items, sides = np.array([answer.item for answer in answers]), np.array([box[2] - box[0] for box in boxes])
    same = items[:, None] == items  # (N, N)
    over_union, over_smaller = overlaps(boxes)
    scores = _scores(answers, over_union * same, over_union)  # (N,)
    shows = np.flatnonzero(scores > LEAST_SCORE)
    kept: list[int] = []
    for place in sorted(shows.tolist(), key=lambda place: -scores[place] * sides[place]):  # a part looks like the whole
        inside = shows[(over_smaller[place, shows] > INSIDE) & (sides[shows] < sides[place])]
        apart = over_smaller[place, kept] <= np.where(same[place, kept], SAME, DIFFERENT)
        if apart.all() and len({*items[inside]} - {items[place]}) < SEVERAL:
            kept.append(place)
    found: dict[str, Found] = {}
    for place in kept:
        one = found.setdefault(answers[place].item, Found(answers[place].item, [], []))
        one.boxes.append(boxes[place])
        one.probabilities.append(answers[place].ranking.probabilities[0])
    return list(found.values())


def _scores(answers: Sequence[Recognition], agreeing: Floats, overlapping: Floats) -> Floats:
    """Return the geometric mean (N,) of a box's probability and of those that it has in the boxes overlapping it.

    The latter are weighted by their IoU (N, N), and 0 where a box does not agree. An unsure box scores 0.
    """
    shown = np.array([answer.ranking.probabilities[0] * (answer.known is not False) for answer in answers])
    sure = np.array([answer.sure for answer in answers])
    scores: Floats = sure * np.sqrt(shown * (agreeing @ shown) / overlapping.sum(axis=1))
    return scores


def overlaps(boxes: Sequence[Box]) -> tuple[Floats, Floats]:
    """Return the intersections of N >= 1 boxes as shares (N, N) of their union (IoU) and of the smaller one.

    >>> [each[0, 1].round(2) for each in overlaps([(0, 0, 10, 10), (5, 0, 25, 20)])]
    [np.float64(0.11), np.float64(0.5)]
    """
    left, top, right, bottom = np.array(boxes, np.float64).T  # (N,) each
    wide = np.minimum(right, right[:, None]) - np.maximum(left, left[:, None])
    high = np.minimum(bottom, bottom[:, None]) - np.maximum(top, top[:, None])
    shared = np.maximum(wide, 0) * np.maximum(high, 0)
    areas = (right - left) * (bottom - top)
    return shared / (areas + areas[:, None] - shared), shared / np.minimum(areas, areas[:, None])


def _starts(length: int, side: int, count: int) -> list[int]:
    """Return the start of each of `count` tiles of this side, spaced evenly over the length."""
    starts: list[int] = np.linspace(0, length - side, count).round().astype(int).tolist()
    return starts
