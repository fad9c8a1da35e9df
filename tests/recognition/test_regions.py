"""Boxes over a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.recognition.regions import MAX_TILES, grid, intersection_over_min_area, validate_boxes

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
