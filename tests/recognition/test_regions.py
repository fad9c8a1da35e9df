"""Boxes over a picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.recognition.labels import Label
from app.recognition.regions import (
    DIFFERENT,
    LEAST_SCORE,
    MAX_TILES,
    SAME,
    grid,
    non_max_suppression,
    overlaps,
    validate_boxes,
)
from app.recognition.zero_shot import Ranking, Recognition

SIDES = st.one_of(st.integers(1, 300), st.integers(1, 50_000_000))


def covered(spans, length):
    """Return whether spans (start, end) leave no gap in 0 to length."""
    reached = 0
    for start, end in sorted(spans):
        if start > reached:
            return False
        reached = max(reached, end)
    return reached == length


@given(SIDES, SIDES)
def test_tiles_cover_any_picture_and_are_few(width, height):
    """For every shape, at most 64 tiles lie inside the picture, and the coarsest level covers every pixel."""
    tiles = grid((width, height))
    assert 1 <= len(tiles) <= MAX_TILES
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in tiles)
    assert covered({(left, right) for left, _, right, _ in tiles}, width)
    assert covered({(top, bottom) for _, top, _, bottom in tiles}, height)


@given(st.integers(1, 120), st.integers(1, 120))
def test_no_pixel_is_missed(width, height):
    """Painting the tiles one by one covers the whole picture."""
    painted = np.zeros((height, width), bool)
    for left, top, right, bottom in grid((width, height)):
        painted[top:bottom, left:right] = True
    assert painted.all()


@pytest.mark.parametrize("size", [(6600, 200), (8000, 200), (12_000, 300), (300, 19_200), (50_000_000, 1), (1, 40_000)])
def test_the_far_end_of_a_panorama_is_searched(size):
    """A very long picture is covered to its end."""
    tiles = grid(size)
    assert max(right for _, _, right, _ in tiles) == size[0]
    assert max(bottom for _, _, _, bottom in tiles) == size[1]
    assert len(tiles) <= MAX_TILES


@given(st.integers(3, 5000), st.integers(3, 5000))
def test_tiles_are_square_where_the_picture_allows_it(width, height):
    """Up to an aspect ratio of 64 to 1 tiles are square."""
    if max(width, height) <= 64 * min(width, height):
        assert all(right - left == bottom - top for left, top, right, bottom in grid((width, height)))


def test_a_box_outside_the_picture_is_named():
    """The error has the index of the first invalid box, and the picture's size."""
    assert validate_boxes([(0, 0, 10, 5)], (10, 5)) == [(0, 0, 10, 5)]
    with pytest.raises(InvalidRequest, match=r"regions.1: right 11 and bottom 5.*10 wide and 5 high"):
        validate_boxes([(0, 0, 10, 5), (0, 0, 11, 5)], (10, 5))


@given(st.tuples(*[st.integers(0, 50)] * 4), st.tuples(*[st.integers(0, 50)] * 4))
def test_overlap_counts_pixels(one, other):
    """The shares of the union and of the smaller box equal those from counting pixels."""
    boxes = [(left, top, left + width + 1, top + height + 1) for left, top, width, height in (one, other)]
    masks = np.zeros((2, 102, 102), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = True
    shared = (masks[0] & masks[1]).sum()
    over_union, over_smaller = overlaps(boxes)
    assert over_union[0, 1] == pytest.approx(shared / (masks[0] | masks[1]).sum())
    assert over_smaller[0, 1] == pytest.approx(shared / min(mask.sum() for mask in masks))


BOXES = st.tuples(*[st.integers(0, 30)] * 3).map(lambda box: (box[0], box[1], box[0] + 1 + box[2], box[1] + 1 + box[2]))
ANSWERS = st.tuples(BOXES, st.sampled_from(["rice", "tea"]), st.floats(0.01, 1), st.booleans())


def answer(name, probability, sure):
    ranking = Ranking([0], [0.5], [probability], [1.0], confident=sure, best_named=0.5)
    return Recognition([Label(name)], ranking, known=None, label_count=2)


@given(st.lists(ANSWERS, max_size=12))
def test_what_is_kept_is_sure_and_overlaps_little(drawn):
    """Kept boxes are sure; those of one item hardly overlap, those of two items by half at most."""
    boxes, answers = [box for box, *_ in drawn], [answer(*rest) for _, *rest in drawn]
    found = non_max_suppression(boxes, answers)
    kept = [
        (box, name.item, share) for name in found for box, share in zip(name.boxes, name.probabilities, strict=True)
    ]
    assert all(one in [(box, *rest) for box, *rest, is_sure in drawn if is_sure] for one in kept)
    for place, (box, name, _) in enumerate(kept):
        for other, rival, _ in kept[:place]:
            assert overlaps([box, other])[1][0, 1] <= (SAME if name == rival else DIFFERENT)


@given(BOXES, st.floats(0.01, 1), st.booleans())
def test_a_box_alone_shows_what_it_is_sure_of(box, probability, sure):
    """Without others, a sure box with a probability above the minimum score is kept, and no other."""
    found = non_max_suppression([box], [answer("tea", probability, sure)])
    assert [each.boxes for each in found] == ([[box]] if sure and probability > LEAST_SCORE else [])


def merged(*seen):
    """The items found in boxes (box, name, probability), all of them sure."""
    found = non_max_suppression([box for box, *_ in seen], [answer(name, share, True) for _, name, share in seen])
    return {each.item: each.boxes for each in found}


def test_of_two_boxes_of_one_thing_the_larger_is_kept():
    """A part of a thing looks like the thing: it is counted once, with its larger box."""
    assert merged(((0, 0, 4, 4), "tea", 0.99), ((0, 0, 8, 8), "tea", 0.95)) == {"tea": [(0, 0, 8, 8)]}


def test_a_box_of_several_things_shows_none_of_its_own():
    """If smaller boxes see two other things in a box, they are found instead of it."""
    parts = ((0, 0, 4, 4), "tea", 0.9), ((4, 0, 8, 4), "salt", 0.9)
    assert merged(((0, 0, 8, 8), "rice", 1.0), *parts) == {"tea": [parts[0][0]], "salt": [parts[1][0]]}


def test_what_overlapping_boxes_disagree_with_is_dropped():
    """A box across the border of two things, which both neighbours contradict, shows nothing."""
    across = (4, 0, 12, 8), "salt", 0.6
    beside = ((0, 0, 8, 8), "tea", 0.9), ((1, 0, 9, 8), "tea", 0.9), ((8, 0, 16, 8), "rice", 0.9)
    assert merged(across) == {"salt": [across[0]]}
    assert set(merged(across, *beside)) == {"tea", "rice"}


def test_boxes_may_overlap_by_just_the_bound():
    """Up to a tenth of the smaller box two equal things are two, above one; different things may share half."""
    rice = (0, 0, 10, 10), "rice", 0.9
    assert len(merged(rice, ((9, 0, 19, 10), "rice", 0.9))["rice"]) == 2
    assert len(merged(rice, ((8, 0, 18, 10), "rice", 0.9))["rice"]) == 1
    assert set(merged(rice, ((5, 0, 15, 10), "tea", 0.9))) == {"rice", "tea"}
    assert set(merged(rice, ((4, 0, 14, 10), "tea", 0.8))) == {"rice"}
