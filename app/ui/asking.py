"""Recognise several pictures of one thing together."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from larder_client import Recognition, Refused

from app.ui.connection import larder
from app.ui.picking import Picked


def recognise(pictures: Sequence[Picked]) -> Recognition:
    """Recognise a picture, or several pictures of one thing."""
    if len(pictures) == 1:
        return larder().recognise(pictures[0].data)
    with named_errors(pictures):
        return larder().recognise_frames([each.data for each in pictures])


@contextmanager
def named_errors(pictures: Sequence[Picked]) -> Iterator[None]:
    """If the service rejects pictures because of one of them, raise its error with the name of that picture."""
    try:
        yield
    except Refused:
        for each in pictures:
            try:
                larder().recognise(each.data)
            except Refused as error:
                raise type(error)(f"{each.name}: {error}") from error
        raise
