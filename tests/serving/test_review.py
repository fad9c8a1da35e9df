"""The review queue's file: what is stored, what is evicted, and which pictures are one scene."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import NotFound, StoreUnavailable
from app.serving.feedback import Answer
from app.serving.review import ReviewQueue, review_id

SAME = 0.93


def vector(place: int, blend: float = 0.0) -> np.ndarray:
    """A unit vector along one of 50 axes; if blended, between this axis and the next."""
    found = np.zeros(50, np.float32)
    found[place], found[(place + 1) % 50] = np.cos(blend), np.sin(blend)
    return found


def queue(folder, model: str = "seen", most: int = 10) -> ReviewQueue:
    return ReviewQueue(folder / "review.sqlite", model, most=most, same_scene=SAME)


def add(review: ReviewQueue, name: str, place: int, **more) -> str:
    """Add an answer that shows what is at a place; returns its id in the queue."""
    review.add(name, Answer("red", [vector(place, more.pop("blend", 0.0))], more.get("pictures", ()), name))
    return review_id(name)


def names(review: ReviewQueue) -> list[str]:
    return [each.answer.id for each in review.pending()]


def test_an_answer_comes_back_as_it_was(tmp_path):
    """Vectors are restored from the file bit for bit, with the pictures' bytes and the time."""
    review = queue(tmp_path)
    frames = [vector(0), vector(0, 0.1)]
    review.add("r", Answer("red", frames, [b"first", "c2Vjb25k"], "r"))
    review.close()
    (found,) = queue(tmp_path).pending()
    assert np.array_equal(np.stack(found.answer.vectors), np.stack(frames))
    assert (found.answer.item, found.answer.id, found.seen, found.pictures, found.item) == ("red", "r", 1, 2, None)
    assert queue(tmp_path).pictures(found.id) == [b"first", b"second"]
    assert float(found.vector @ vector(0, 0.05)) == pytest.approx(1)


def test_nothing_is_written_before_something_is_unsure(tmp_path):
    """A service without unsure answers has no file."""
    review = queue(tmp_path)
    review.flush()
    assert review.pending() == []
    with pytest.raises(NotFound, match="not in the review queue"):
        review.get("no")
    review.close()
    assert not list(tmp_path.iterdir())


@given(places=st.lists(st.integers(0, 9), max_size=40), most=st.integers(1, 6))
def test_the_newest_scenes_are_kept(tmp_path_factory, places, most):
    """The limit keeps the scenes seen last, independent of when they were written."""
    review = queue(tmp_path_factory.mktemp("queue"), most=most)
    kept: dict[int, int] = {}  # place -> how often, the oldest first
    for number, place in enumerate(places):
        add(review, f"r{number}", place)
        review.flush()
        kept = {**{each: times for each, times in kept.items() if each != place}, place: kept.get(place, 0) + 1}
        kept = dict([*kept.items()][-most:])
    assert [each.seen for each in review.pending()] == [*kept.values()][::-1]
    review.close()


def test_scenes_are_told_apart_by_their_cosine(tmp_path):
    """Just above the threshold is the same, just below is another; also among those that are written together."""
    review = queue(tmp_path)
    angle = float(np.arccos(SAME))
    for name, blend in (("first", 0.0), ("same", angle - 0.01), ("other", angle + 0.01)):
        add(review, name, 0, blend=blend)
    assert [(each.answer.id, each.seen) for each in review.pending()] == [("other", 1), ("first", 2)]


def test_a_labelled_scene_that_is_still_not_sure_is_asked_for_again(tmp_path):
    """One label may not be enough; a dismissed one is, and stays dismissed."""
    review = queue(tmp_path)
    review.settle(add(review, "first", 0), "tea")
    review.dismiss(add(review, "second", 1))
    add(review, "third", 0)
    add(review, "fourth", 1)
    assert names(review) == ["third"]
    assert review.get(review_id("first")).item == "tea"
    with pytest.raises(NotFound):
        review.get(review_id("second"))
    with pytest.raises(NotFound):
        review.dismiss(review_id("first"))


def test_pictures_are_bounded_by_their_bytes(tmp_path, monkeypatch):
    """The oldest entries are evicted together with their pictures."""
    monkeypatch.setattr("app.serving.review.MOST_KEPT_BYTES", 250)
    review = queue(tmp_path)
    ids = [add(review, f"r{place}", place, pictures=[b"x" * 100]) for place in range(4)]
    assert names(review) == ["r3", "r2"]
    with review._file().reader() as reader:
        assert {id for (id,) in reader.execute("SELECT review FROM pictures")} == set(ids[2:])


def test_what_waits_to_be_written_is_bounded(tmp_path, monkeypatch):
    """The limits are on number and bytes, so that a hanging disk does not fill the memory."""
    review = queue(tmp_path, most=3)
    for place in range(5):
        add(review, f"r{place}", place)
    assert names(review) == ["r4", "r3", "r2"]
    monkeypatch.setattr("app.serving.review.MOST_BYTES", 250)
    for place in range(10, 14):
        add(review, f"r{place}", place, pictures=[b"x" * 100])
    assert names(review) == ["r13", "r12", "r4"]


def test_what_could_not_be_written_is_written_later(tmp_path):
    """It is written in order once the disk works again."""
    review = queue(tmp_path)
    (tmp_path / "review.sqlite").mkdir()
    add(review, "first", 0)
    with pytest.raises(StoreUnavailable, match="review queue"):
        review.flush()
    add(review, "second", 1)
    (tmp_path / "review.sqlite").rmdir()
    assert names(review) == ["second", "first"]


def test_the_vectors_of_another_model_are_not_mixed_in(tmp_path):
    """They are only listed for the model that made them."""
    first, second = queue(tmp_path), queue(tmp_path, model="another")
    id = add(first, "first", 0)
    first.flush()
    add(second, "second", 0)
    assert (names(first), names(second)) == (["first"], ["second"])
    with pytest.raises(NotFound):
        second.get(id)


def test_two_processes_share_the_file(tmp_path):
    """Each process lists the entries of the other, and sees what it settles."""
    first, second = queue(tmp_path), queue(tmp_path)
    add(first, "first", 0)
    add(second, "second", 0)
    first.flush()
    (found,) = second.pending()
    assert (found.answer.id, found.seen) == ("first", 2)
    second.settle(found.id, "tea")
    assert first.pending() == []


def test_times_do_not_go_back(tmp_path):
    """Entries are listed newest first, with times in order."""
    review = queue(tmp_path)
    for place in range(5):
        add(review, f"r{place}", place)
    assert all(newer.at >= older.at for newer, older in pairwise(review.pending()))
