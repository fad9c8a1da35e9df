"""Atomic file writes."""

import errno
import threading
from functools import partial

import pytest

from app.atomic import atomic_write
from app.errors import InvalidRequest, SourceError


def test_a_file_is_there_when_it_is_complete(tmp_path):
    """Until then the path is unchanged, and afterwards no other file is left."""
    path = tmp_path / "list.txt"
    path.write_text("old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SourceError("expired")])
def test_an_error_leaves_what_was_there(tmp_path, error):
    """The original error is raised, and no partial file is left."""
    path = tmp_path / "list.txt"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_of_one_path_do_not_disturb_each_other(tmp_path):
    """Eight concurrent writers succeed, and one of their files is there, complete."""
    path, begun, failures = tmp_path / "list.txt", threading.Barrier(8), []

    def write(number):
        try:
            with atomic_write(path) as part:
                part.write_text(str(number) * 1000)
                begun.wait(60)
        except InvalidRequest as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert path.read_text() in [str(number) * 1000 for number in range(8)]
    assert list(tmp_path.iterdir()) == [path]


def test_what_prevents_it_is_said(tmp_path):
    """The message has the path and the reason, even if the error has no text."""
    refused = partial(pytest.raises, InvalidRequest)
    nowhere = tmp_path / "nowhere/list.txt"
    with refused(match=r"nowhere/list.txt cannot be written: No such file"), atomic_write(nowhere) as part:
        part.write_text("x")
    with refused(match="cannot be written: No space left"), atomic_write(tmp_path / "list.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with refused(match="cannot be written: odd"), atomic_write(tmp_path / "list.txt"):
        raise OSError("odd")
