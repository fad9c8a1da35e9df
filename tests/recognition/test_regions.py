"""Boxes over a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.recognition.labels import Label
from app.recognition.regions import (
    MAX_OVERLAP,
    MAX_TILES,
    grid,
    intersection_over_min_area,
    non_max_suppression,
    validate_boxes,
)
from app.recognition.zero_shot import Ranking, Recognition

SIDES = st.one_of(st.integers(1, 300), st.integers(1, 50_000_000))


def covered(spans, length):
    """Whether spans (start, end) leave no gap in 0 to length."""
    reached = 0
    for start, end in sorted(spans):
        if start > reached:
            return False
        reached = max(reached, end)
    return reached == length


@given(SIDES, SIDES)
def test_tiles_cover_any_picture_and_are_few(width, height):
    """At most 64 tiles lie inside the picture, and the coarsest leave no pixel out, whatever its shape."""
    tiles = grid((width, height))
    assert 1 <= len(tiles) <= MAX_TILES
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in tiles)
    assert covered({(left, right) for left, _, right, _ in tiles}, width)
    assert covered({(top, bottom) for _, top, _, bottom in tiles}, height)


@given(st.integers(1, 120), st.integers(1, 120))
def test_no_pixel_is_missed(width, height):
    """Painting the tiles one by one, the slow way, paints the whole picture."""
    painted = np.zeros((height, width), bool)
    for left, top, right, bottom in grid((width, height)):
        painted[top:bottom, left:right] = True
    assert painted.all()


@pytest.mark.parametrize("size", [(6600, 200), (8000, 200), (12_000, 300), (300, 19_200), (50_000_000, 1), (1, 40_000)])
def test_the_far_end_of_a_panorama_is_searched(size):
    """A picture longer than its tiles are many is covered to its end."""
    tiles = grid(size)
    assert max(right for _, _, right, _ in tiles) == size[0]
    assert max(bottom for _, _, _, bottom in tiles) == size[1]
    assert len(tiles) <= MAX_TILES


@given(st.integers(3, 5000), st.integers(3, 5000))
def test_tiles_are_square_where_the_picture_allows_it(width, height):
    """Up to a ratio of 64 to 1 the sides of a tile are equal."""
    if max(width, height) <= 64 * min(width, height):
        assert all(right - left == bottom - top for left, top, right, bottom in grid((width, height)))


def test_a_box_outside_the_picture_is_named():
    """The first box that does not fit is told by its place, with the picture's size."""
    assert validate_boxes([(0, 0, 10, 5)], (10, 5)) == [(0, 0, 10, 5)]
    with pytest.raises(InvalidRequest, match=r"regions.1: right 11 and bottom 5.*10 wide and 5 high"):
        validate_boxes([(0, 0, 10, 5), (0, 0, 11, 5)], (10, 5))


@given(st.tuples(*[st.integers(0, 50)] * 4), st.tuples(*[st.integers(0, 50)] * 4))
def test_overlap_counts_pixels(one, other):
    """The share of the smaller box is what counting its pixels gives."""
    boxes = [(left, top, left + width + 1, top + height + 1) for left, top, width, height in (one, other)]
    masks = np.zeros((2, 102, 102), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    expected = (masks[0] & masks[1]).sum() / min(mask.sum() for mask in masks)
    assert intersection_over_min_area(*boxes) == pytest.approx(expected)


BOXES = st.tuples(*[st.integers(0, 30)] * 3).map(lambda box: (box[0], box[1], box[0] + 1 + box[2], box[1] + 1 + box[2]))
ANSWERS = st.tuples(BOXES, st.sampled_from(["rice", "tea"]), st.floats(0.01, 1), st.booleans())


def answer(name, probability, sure):
    ranking = Ranking([0], [0.5], [probability], [1.0], confident=sure, best_named=0.5)
    return Recognition([Label(name)], ranking, known=None, label_count=2)


@given(st.lists(ANSWERS, max_size=12))
def test_what_is_kept_overlaps_little_and_what_is_dropped_overlaps_better(drawn):
    """Every sure box is kept, or overlaps a kept one that scores at least as much; no two kept ones overlap."""
    boxes, answers = [box for box, *_ in drawn], [answer(*rest) for _, *rest in drawn]
    kept = [
        (box, name.item, probability)
        for name in non_max_suppression(boxes, answers)
        for box, probability in zip(name.boxes, name.probabilities, strict=True)
    ]
    sure = [(box, name, probability) for box, name, probability, is_sure in drawn if is_sure]
    assert all(one in sure for one in kept)
    for place, (box, _, _) in enumerate(kept):
        assert all(intersection_over_min_area(box, other) <= MAX_OVERLAP for other, _, _ in kept[:place])

    def score(box, probability):
        return probability * (box[2] - box[0]) ** 0.5

    for box, name, probability in sure:
        assert (box, name, probability) in kept or any(
            intersection_over_min_area(box, other) > MAX_OVERLAP and score(other, better) >= score(box, probability)
            for other, _, better in kept
        )


def test_boxes_may_overlap_by_just_the_bound():
    """A tenth of the smaller one is still two things; a pixel more is one."""
    answers = [answer("rice", 0.9, True), answer("tea", 0.8, True)]
    assert len(non_max_suppression([(0, 0, 10, 10), (9, 0, 19, 10)], answers)) == 2
    assert len(non_max_suppression([(0, 0, 10, 10), (8, 0, 18, 10)], answers)) == 1
