"""The client's errors in words."""

import larder_client
import pytest
from larder_client import Busy, Failed, ImageTooLarge, LarderError, NotFound, TimedOut, Unreachable, UnsupportedImage

from app.ui.sentences import sentence


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unreachable("refused"), "Is the service started, and is LARDER_URL its address?"),
        (TimedOut("no answer"), "It may be very busy."),
        (Busy("the queue is full"), "cannot answer now: the queue is full."),
        (Failed("an internal error", "abc-1"), "Its log has more under the request id abc-1."),
        (ImageTooLarge("it has 60 bytes"), "Try a smaller one."),
        (UnsupportedImage("TIFF pictures are not accepted"), "Try another file."),
        (NotFound("there is no item 'tea'."), "there is no item 'tea'."),
    ],
)
def test_it_says_what_to_do(error, words):
    """The sentence has the service's message and what the user can do."""
    assert words in sentence(error)


def test_every_error_is_one_line_that_ends():
    """No error is shown as a class name, a traceback or JSON."""
    kinds = [each for each in vars(larder_client).values() if isinstance(each, type) and issubclass(each, LarderError)]
    assert len(kinds) > 10
    for kind in kinds:
        text = sentence(kind("something happened"))
        assert text.endswith((".", "?")), text
        assert "\n" not in text
        assert kind.__name__ not in text.split()
